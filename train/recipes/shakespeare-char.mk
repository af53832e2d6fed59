# nanoGPT's small setting on bytes: 4 layers, 4 heads, 128 dimensions, context 64, 2000 steps.
#
#   make -f train/recipes/shakespeare-char.mk TEXT=tinyshakespeare.txt [SHAPE=gpt2|llama] [OUT=build/shakespeare]
#
# The first 90 % of the bytes are trained on, the loss printed at the end is over all the rest.
TEXT  ?= tinyshakespeare.txt
SHAPE ?= gpt2
OUT   ?= build/shakespeare-$(SHAPE)
B     ?= build
BIN   := $(B)/bin
STEPS ?= 2000
WARMUP = $$(($(STEPS) / 20))

gpt2_config  := {"model_type": "gpt2", "vocab_size": 256, "n_embd": 128, "n_layer": 4, "n_head": 4, "n_positions": 64}
llama_config := {"model_type": "llama", "vocab_size": 256, "hidden_size": 128, "num_hidden_layers": 4, \
  "num_attention_heads": 4, "intermediate_size": 344, "max_position_embeddings": 64, "rms_norm_eps": 1e-5}

loss: $(OUT)/run/step_$(STEPS)/MANIFEST
	@awk -F '\t' 'NR == 1 { for (i = 1; i <= NF; i++) if ($$i == "valid_loss") c = i } \
	    $$c != "" && NR > 1 { v = $$c } END { printf "%s: loss over the rest %.4f\n", "$(SHAPE)", v }' $(OUT)/run/metrics.tsv

$(OUT)/run/step_$(STEPS)/MANIFEST: $(OUT)/config.json $(OUT)/train.idx $(OUT)/valid.idx
	$(BIN)/lmtrain -q model=$(OUT)/config.json tokenizer=$(OUT) data=$(OUT)/train split=1,0,0 \
	    valid=$(OUT)/valid full_validation=1 eval_interval=$(STEPS) seq_length=64 micro_batch_size=12 \
	    train_iters=$(STEPS) lr=1e-3 min_lr=1e-4 lr_decay_style=cosine lr_warmup_iters=$(WARMUP) adam_beta2=0.99 \
	    weight_decay=0.1 clip_grad=1 out=$(OUT)/run resume=auto

$(OUT)/config.json:
	@mkdir -p $(OUT)
	echo '$($(SHAPE)_config)' >$@

$(OUT)/train.txt: $(TEXT)
	@mkdir -p $(OUT)
	head -c $$(($$(wc -c <$<) * 9 / 10)) $< >$@
$(OUT)/valid.txt: $(TEXT)
	@mkdir -p $(OUT)
	tail -c +$$(($$(wc -c <$<) * 9 / 10 + 1)) $< >$@
$(OUT)/tokenizer.json: $(OUT)/train.txt
	$(BIN)/lmvocab -q -n 256 --from txt -o $@ $<
$(OUT)/%.idx: $(OUT)/%.txt $(OUT)/tokenizer.json
	$(BIN)/lmcat $< | $(BIN)/lmtokenize -t $(OUT) | $(BIN)/lmshard -q -o $(OUT)/$*

.PHONY: loss
.DELETE_ON_ERROR:
