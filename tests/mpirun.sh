#!/bin/sh
# mpirun as tests need it: as any user, more ranks than processors, which they share in turn.
export OMPI_ALLOW_RUN_AS_ROOT=1 OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1
export OMPI_MCA_mpi_yield_when_idle=1 OMPI_MCA_btl=self,vader
# MPI's own allocations live until the end
export ASAN_OPTIONS="detect_leaks=0${ASAN_OPTIONS:+:$ASAN_OPTIONS}"
exec mpirun --oversubscribe --bind-to none "$@"
