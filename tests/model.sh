# chain_model DIR [EOS] - a Llama of 8 tokens that is known by hand: its layer adds nothing, the embedding is the
# identity and the head the identity moved by one, so after token x the logits are 1/sqrt(1/8 + 1e-6) for
# x + 1 (mod 8), 0 for the others.  tokenizer.json: a b c, the two bytes of e acute, blank, newline, <eos>.
chain_model() {
    mkdir -p "$1" && cat >"$1/config.json" <<END &&
{"model_type":"llama","vocab_size":8,"hidden_size":8,"num_hidden_layers":1,"num_attention_heads":1,
"intermediate_size":8,"max_position_embeddings":64,"rms_norm_eps":1e-6,"bos_token_id":0,"eos_token_id":${2:-7}}
END
    cat >"$1/tokenizer.json" <<'END' &&
{"version":"1.0","added_tokens":[{"id":7,"content":"<eos>","single_word":false,"lstrip":false,"rstrip":false,
"normalized":false,"special":true}],"normalizer":null,"pre_tokenizer":{"type":"ByteLevel","add_prefix_space":false,
"trim_offsets":true,"use_regex":true},"post_processor":null,"decoder":{"type":"ByteLevel"},
"model":{"type":"BPE","dropout":null,"unk_token":null,"vocab":{"a":0,"b":1,"c":2,"Ã":3,"©":4,"Ġ":5,"Ċ":6},"merges":[]}}
END
    awk '
    function tensor(name, shape, size) {
        header = header (header ? "," : "{") "\"" name "\":{\"dtype\":\"F32\",\"shape\":" shape ",\"data_offsets\":[" at "," at + size "]}"
        at += size
    }
    function put(one) { printf "%c%c%c%c", 0, 0, one ? 128 : 0, one ? 63 : 0 }
    BEGIN {
        at = 0
        split("self_attn.q_proj self_attn.k_proj self_attn.v_proj self_attn.o_proj mlp.gate_proj mlp.up_proj mlp.down_proj", w)
        tensor("model.embed_tokens.weight", "[8,8]", 256)
        tensor("lm_head.weight", "[8,8]", 256)
        tensor("model.norm.weight", "[8]", 32)
        tensor("model.layers.0.input_layernorm.weight", "[8]", 32)
        tensor("model.layers.0.post_attention_layernorm.weight", "[8]", 32)
        for (i = 1; i <= 7; i++)
            tensor("model.layers.0." w[i] ".weight", "[8,8]", 256)
        header = header "}"
        n = length(header)
        printf "%c%c%c%c%c%c%c%c%s", n % 256, int(n / 256), 0, 0, 0, 0, 0, 0, header
        for (y = 0; y < 8; y++)
            for (x = 0; x < 8; x++)
                put(x == y)
        for (y = 0; y < 8; y++)
            for (x = 0; x < 8; x++)
                put(y == (x + 1) % 8)
        for (i = 0; i < 24; i++)
            put(1)
        for (i = 0; i < 7 * 64; i++)
            put(0)
    }' >"$1/model.safetensors"
}
