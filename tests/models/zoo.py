"""Small models of many architectures from `transformers`, with random weights and inputs to match.

Each entry is a `Sample`: how to make the module, and how to make a call's arguments from a seed. Widths are tiny; what
matters is that every line of the real model code runs.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import torch
import transformers

Arguments = dict[str, Any]


@dataclass(frozen=True)
class Sample:
    """One model of the zoo.

    make:      the module, in eval mode, its weights fixed by torch's seed
    arguments: keyword arguments of a call, from a seed
    extra:     more keyword arguments of every call
    """

    name: str
    make: Callable[[], torch.nn.Module]
    arguments: Callable[[int], Arguments]
    extra: Arguments = field(default_factory=dict)

    def module(self) -> torch.nn.Module:
        torch.manual_seed(0)
        return self.make().eval()

    def call_arguments(self, seed: int = 0) -> Arguments:
        return {**self.arguments(seed), **self.extra}


def _random(seed: int, *shape: int) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def ids(seed: int, batch: int = 2, length: int = 10, vocabulary: int = 99, name: str = "input_ids") -> Arguments:
    """Token numbers, none of them special."""
    made = torch.randint(5, vocabulary, (batch, length), generator=torch.Generator().manual_seed(seed))
    return {name: made}


def padded(seed: int, batch: int = 2, length: int = 10) -> Arguments:
    """Token numbers with a mask that hides the end of the second row."""
    mask = torch.ones(batch, length, dtype=torch.long)
    mask[1, length - 3 :] = 0
    return {**ids(seed, batch, length), "attention_mask": mask}


def both(seed: int) -> Arguments:
    """For an encoder and a decoder."""
    return {**padded(seed), **ids(seed + 100, length=6, name="decoder_input_ids")}


def pixels(seed: int, size: int = 32) -> Arguments:
    return {"pixel_values": _random(seed, 2, 3, size, size)}


def sound(seed: int) -> Arguments:
    return {"input_values": _random(seed, 2, 800)}


#: sizes under the names that most text models use
TEXT = dict(
    vocab_size=99, hidden_size=32, num_hidden_layers=2, num_attention_heads=4, intermediate_size=37, max_position_embeddings=64,
)  # fmt: skip
DECODER = {**TEXT, "num_key_value_heads": 2}
IMAGE = dict(
    image_size=32, patch_size=8, hidden_size=32, num_hidden_layers=2, num_attention_heads=4, intermediate_size=37
)
SEQ2SEQ = dict(
    vocab_size=99, d_model=32, encoder_layers=2, decoder_layers=2, encoder_attention_heads=4, decoder_attention_heads=4,
    encoder_ffn_dim=37, decoder_ffn_dim=37, max_position_embeddings=64,
)  # fmt: skip
SPEECH = dict(
    vocab_size=32, hidden_size=32, num_hidden_layers=2, num_attention_heads=4, intermediate_size=37, conv_dim=(16, 16, 16),
    conv_stride=(5, 2, 2), conv_kernel=(10, 3, 3), num_feat_extract_layers=3, num_conv_pos_embeddings=16,
    num_conv_pos_embedding_groups=4, feat_extract_norm="layer", do_stable_layer_norm=True, mask_time_prob=0.0,
)  # fmt: skip


def sample(
    name: str,
    model: str,
    arguments: Callable[[int], Arguments],
    config: str = "",
    extra: Arguments | None = None,
    **settings: Any,
) -> Sample:
    """A `transformers` model by its class's name; the config's class is found from it."""

    def make() -> torch.nn.Module:
        cls = getattr(transformers, model)
        settings_cls = getattr(transformers, config) if config else cls.config_class
        return cls(settings_cls(**settings))

    return Sample(name, make, arguments, extra or {})


#: the models that must always work
NAMED = [
    sample("bert", "BertModel", padded, **TEXT),
    sample("roberta", "RobertaModel", padded, **TEXT),
    sample("albert", "AlbertModel", padded, embedding_size=16, **TEXT),
    sample("electra", "ElectraModel", padded, embedding_size=16, **TEXT),
    sample("mpnet", "MPNetModel", padded, **TEXT),
    sample("deberta-v2", "DebertaV2Model", padded, relative_attention=True, position_buckets=8, pos_att_type="p2c|c2p", share_att_key=True, norm_rel_ebd="layer_norm", position_biased_input=False, **TEXT),
    sample("gpt2", "GPT2LMHeadModel", ids, vocab_size=99, n_positions=64, n_embd=32, n_layer=2, n_head=4),
    sample("gpt-neox", "GPTNeoXForCausalLM", ids, **TEXT),
    sample("opt", "OPTForCausalLM", ids, vocab_size=99, hidden_size=32, num_hidden_layers=2, ffn_dim=37, num_attention_heads=4, max_position_embeddings=64, word_embed_proj_dim=32),
    sample("llama", "LlamaForCausalLM", ids, **DECODER),
    sample("mistral", "MistralForCausalLM", ids, sliding_window=4, **DECODER),
    sample("gemma", "GemmaForCausalLM", ids, head_dim=8, **DECODER),
    sample("phi", "PhiForCausalLM", ids, **DECODER),
    sample("t5", "T5Model", both, vocab_size=99, d_model=32, d_kv=8, d_ff=37, num_layers=2, num_heads=4, decoder_start_token_id=0),
    sample("bart", "BartModel", both, **SEQ2SEQ),
    sample("vit", "ViTModel", pixels, **IMAGE),
    sample("deit", "DeiTModel", pixels, **IMAGE),
    sample("dinov2", "Dinov2Model", pixels, mlp_ratio=2, **{k: v for k, v in IMAGE.items() if k != "intermediate_size"}),
    sample("resnet", "ResNetModel", pixels, embedding_size=8, hidden_sizes=[8, 16], depths=[1, 2], layer_type="bottleneck"),
    sample("regnet", "RegNetModel", pixels, embedding_size=8, hidden_sizes=[8, 16], depths=[1, 2], groups_width=4),
    sample("segformer", "SegformerForSemanticSegmentation", pixels, num_encoder_blocks=2, depths=[1, 1], sr_ratios=[4, 1], hidden_sizes=[16, 32], patch_sizes=[7, 3], strides=[4, 2], num_attention_heads=[1, 2], mlp_ratios=[2, 2], decoder_hidden_size=32),
    sample("wav2vec2", "Wav2Vec2Model", sound, **SPEECH),
]  # fmt: skip

#: the same code on its other paths: heads, losses, flags of a call
VARIANTS = [
    sample("bert-hidden-states", "BertModel", padded, extra={"output_hidden_states": True}, **TEXT),
    sample("bert-attentions", "BertModel", padded, extra={"output_attentions": True}, attn_implementation="eager", **TEXT),
    sample("bert-tuple", "BertModel", ids, extra={"return_dict": False}, **TEXT),
    sample("bert-classifier", "BertForSequenceClassification", lambda s: {**padded(s), "labels": torch.tensor([0, 1])}, **TEXT),
    sample("bert-qa", "BertForQuestionAnswering", padded, **TEXT),
    sample("roberta-masked", "RobertaForMaskedLM", lambda s: {**padded(s), "labels": ids(s + 1)["input_ids"]}, **TEXT),
    sample("gpt2-loss", "GPT2LMHeadModel", lambda s: {**ids(s), "labels": ids(s)["input_ids"]}, vocab_size=99, n_positions=64, n_embd=32, n_layer=2, n_head=4),
    sample("gpt2-tuple", "GPT2Model", padded, extra={"return_dict": False}, vocab_size=99, n_positions=64, n_embd=32, n_layer=2, n_head=4),
    sample("llama-no-cache", "LlamaForCausalLM", padded, extra={"use_cache": False}, **DECODER),
    sample("llama-cache", "LlamaForCausalLM", padded, extra={"use_cache": True, "output_hidden_states": True}, **DECODER),
    sample("llama-eager-attention", "LlamaForCausalLM", padded, attn_implementation="eager", **DECODER),
    sample("llama-last-logits", "LlamaForCausalLM", ids, extra={"logits_to_keep": 1, "return_dict": False}, **DECODER),
    sample("mistral-padded", "MistralModel", padded, extra={"use_cache": False}, sliding_window=4, **DECODER),
    sample("t5-generation", "T5ForConditionalGeneration", lambda s: {**padded(s), "labels": ids(s + 1, length=6)["input_ids"]}, vocab_size=99, d_model=32, d_kv=8, d_ff=37, num_layers=2, num_heads=4, decoder_start_token_id=0),
    sample("vit-classifier", "ViTForImageClassification", pixels, num_labels=3, **IMAGE),
    sample("resnet-classifier", "ResNetForImageClassification", pixels, num_labels=3, embedding_size=8, hidden_sizes=[8, 16], depths=[1, 2], layer_type="basic"),
    sample("wav2vec2-ctc", "Wav2Vec2ForCTC", sound, **SPEECH),
]  # fmt: skip

#: architectures beyond those
MORE = [
    sample("distilbert", "DistilBertModel", padded, vocab_size=99, dim=32, n_layers=2, n_heads=4, hidden_dim=37, max_position_embeddings=64),
    sample("xlm-roberta", "XLMRobertaModel", padded, **TEXT),
    sample("qwen2", "Qwen2ForCausalLM", ids, **DECODER),
    sample("qwen3", "Qwen3ForCausalLM", ids, head_dim=8, **DECODER),
    sample("qwen2-moe", "Qwen2MoeForCausalLM", ids, num_experts=4, num_experts_per_tok=2, moe_intermediate_size=16, shared_expert_intermediate_size=16, **DECODER),
    sample("mixtral", "MixtralForCausalLM", ids, num_local_experts=4, num_experts_per_tok=2, **{**DECODER, "intermediate_size": 48}),
    sample("falcon", "FalconForCausalLM", ids, vocab_size=99, hidden_size=32, num_hidden_layers=2, num_attention_heads=4),
    sample("falcon-alibi", "FalconForCausalLM", ids, vocab_size=99, hidden_size=32, num_hidden_layers=2, num_attention_heads=4, alibi=True),
    sample("bloom", "BloomForCausalLM", ids, vocab_size=99, hidden_size=32, n_layer=2, n_head=4),
    sample("mamba", "MambaForCausalLM", ids, vocab_size=99, hidden_size=32, num_hidden_layers=2, state_size=4, time_step_rank=4),
    sample("gemma2", "Gemma2ForCausalLM", ids, head_dim=8, sliding_window=4, query_pre_attn_scalar=8, **DECODER),
    sample("gemma3", "Gemma3ForCausalLM", ids, "Gemma3TextConfig", head_dim=8, sliding_window=4, query_pre_attn_scalar=8, **DECODER),
    sample("phi3", "Phi3ForCausalLM", ids, pad_token_id=0, **DECODER),
    sample("stablelm", "StableLmForCausalLM", ids, **DECODER),
    sample("starcoder2", "Starcoder2ForCausalLM", ids, **DECODER),
    sample("olmo2", "Olmo2ForCausalLM", ids, **DECODER),
    sample("gptj", "GPTJForCausalLM", ids, vocab_size=99, n_positions=64, n_embd=32, n_layer=2, n_head=4, rotary_dim=4),
    sample("gpt-neo", "GPTNeoForCausalLM", ids, vocab_size=99, hidden_size=32, num_layers=2, num_heads=4, max_position_embeddings=64, attention_types=[[["global", "local"], 1]], window_size=4),
    sample("codegen", "CodeGenForCausalLM", ids, vocab_size=99, n_positions=64, n_embd=32, n_layer=2, n_head=4, rotary_dim=4),
    sample("mpt", "MptForCausalLM", ids, vocab_size=99, d_model=32, n_layers=2, n_heads=4, max_seq_len=64),
    sample("whisper", "WhisperModel", lambda s: {"input_features": _random(s, 2, 16, 60), **ids(s, length=6, name="decoder_input_ids")}, num_mel_bins=16, max_source_positions=30, max_target_positions=20, decoder_start_token_id=0, pad_token_id=0, bos_token_id=0, eos_token_id=0, **{k: v for k, v in SEQ2SEQ.items() if k != "max_position_embeddings"}),
    sample("clip", "CLIPModel", lambda s: {**padded(s), **pixels(s)}, text_config={**TEXT, "projection_dim": 16, "eos_token_id": 2, "bos_token_id": 0}, vision_config={**IMAGE, "projection_dim": 16}, projection_dim=16),
    sample("clip-text", "CLIPTextModel", padded, eos_token_id=2, bos_token_id=0, **TEXT),
    sample("siglip", "SiglipVisionModel", pixels, **IMAGE),
    sample("swin", "SwinModel", pixels, image_size=32, patch_size=2, embed_dim=8, depths=[2, 2], num_heads=[2, 2], window_size=4),
    sample("swinv2", "Swinv2Model", pixels, image_size=32, patch_size=2, embed_dim=8, depths=[2, 2], num_heads=[2, 2], window_size=4),
    sample("convnext", "ConvNextModel", pixels, hidden_sizes=[8, 16], depths=[1, 1], num_stages=2),
    sample("convnextv2", "ConvNextV2Model", pixels, hidden_sizes=[8, 16], depths=[1, 1], num_stages=2),
    sample("mobilenet-v2", "MobileNetV2Model", pixels, depth_multiplier=0.25, image_size=32),
    sample("mobilenet-v1", "MobileNetV1Model", pixels, depth_multiplier=0.25, image_size=32),
    sample("mobilevit", "MobileViTModel", pixels, image_size=32, hidden_sizes=[16, 24, 32], neck_hidden_sizes=[8, 8, 16, 16, 24, 32, 32], num_attention_heads=4),
    sample("efficientnet", "EfficientNetModel", pixels, width_coefficient=0.25, depth_coefficient=0.25, image_size=32, hidden_dim=320),
    sample("poolformer", "PoolFormerModel", pixels, hidden_sizes=[8, 16, 16, 16], depths=[1, 1, 1, 1]),
    sample("beit", "BeitModel", pixels, **IMAGE),
    sample("data2vec-text", "Data2VecTextModel", padded, **TEXT),
    sample("pegasus", "PegasusModel", both, **SEQ2SEQ),
    sample("marian", "MarianModel", both, pad_token_id=0, decoder_start_token_id=0, **SEQ2SEQ),
    sample("mbart", "MBartModel", both, **SEQ2SEQ),
    sample("blenderbot", "BlenderbotModel", both, **SEQ2SEQ),
    sample("led", "LEDModel", lambda s: {**ids(s, length=8), **ids(s + 1, length=6, name="decoder_input_ids")}, attention_window=4, max_encoder_position_embeddings=64, max_decoder_position_embeddings=64, **{k: v for k, v in SEQ2SEQ.items() if k != "max_position_embeddings"}),
    sample("m2m-100", "M2M100Model", both, **SEQ2SEQ),
    sample("mt5", "MT5Model", both, vocab_size=99, d_model=32, d_kv=8, d_ff=37, num_layers=2, num_heads=4, decoder_start_token_id=0),
    sample("longt5", "LongT5Model", both, vocab_size=99, d_model=32, d_kv=8, d_ff=37, num_layers=2, num_heads=4, local_radius=4, decoder_start_token_id=0),
    sample("umt5", "UMT5Model", both, vocab_size=99, d_model=32, d_kv=8, d_ff=37, num_layers=2, num_heads=4, decoder_start_token_id=0),
    sample("switch", "SwitchTransformersModel", both, vocab_size=99, d_model=32, d_kv=8, d_ff=37, num_layers=2, num_heads=4, num_experts=4, decoder_start_token_id=0),
    sample("perceiver", "PerceiverModel", lambda s: {"inputs": _random(s, 2, 10, 16)}, num_latents=6, d_latents=16, d_model=16, num_blocks=1, num_self_attends_per_block=2, num_self_attention_heads=2, num_cross_attention_heads=2),
    sample("longformer", "LongformerModel", padded, attention_window=4, **TEXT),
    sample("bigbird", "BigBirdModel", padded, attention_type="original_full", **TEXT),
    sample("funnel", "FunnelModel", padded, vocab_size=99, block_sizes=[1, 1], num_decoder_layers=1, d_model=32, n_head=4, d_head=8, d_inner=37),
    sample("mobilebert", "MobileBertModel", padded, embedding_size=16, intra_bottleneck_size=16, true_hidden_size=16, **TEXT),
    sample("layoutlm", "LayoutLMModel", lambda s: {**padded(s), "bbox": torch.zeros(2, 10, 4, dtype=torch.long)}, **TEXT),
    sample("squeezebert", "SqueezeBertModel", padded, embedding_size=32, **{**TEXT, "intermediate_size": 40}),
    sample("camembert", "CamembertModel", padded, **TEXT),
    sample("convbert", "ConvBertModel", padded, embedding_size=16, head_ratio=2, **TEXT),
    sample("deberta", "DebertaModel", padded, relative_attention=True, pos_att_type="p2c|c2p", position_biased_input=False, **TEXT),
    sample("ernie", "ErnieModel", padded, **TEXT),
    sample("fnet", "FNetModel", ids, **{k: v for k, v in TEXT.items() if k != "num_attention_heads"}),
    sample("megatron-bert", "MegatronBertModel", padded, **TEXT),
    sample("modernbert", "ModernBertModel", padded, pad_token_id=0, global_attn_every_n_layers=2, local_attention=4, **TEXT),
    sample("nystromformer", "NystromformerModel", lambda s: padded(s, length=8), num_landmarks=4, segment_means_seq_len=8, conv_kernel_size=3, **TEXT),
    sample("rembert", "RemBertModel", padded, input_embedding_size=16, output_embedding_size=16, **TEXT),
    sample("roformer", "RoFormerModel", padded, embedding_size=16, **TEXT),
    sample("splinter", "SplinterModel", padded, **TEXT),
    sample("xlnet", "XLNetModel", padded, vocab_size=99, d_model=32, n_layer=2, n_head=4, d_inner=37),
    sample("xlm", "XLMModel", padded, vocab_size=99, emb_dim=32, n_layers=2, n_heads=4, max_position_embeddings=64),
    sample("xglm", "XGLMForCausalLM", ids, vocab_size=99, d_model=32, num_layers=2, attention_heads=4, ffn_dim=37, max_position_embeddings=64),
    sample("hubert", "HubertModel", sound, **SPEECH),
    sample("wavlm", "WavLMModel", sound, **SPEECH),
    sample("sew", "SEWModel", sound, squeeze_factor=2, **SPEECH),
    sample("speech-to-text", "Speech2TextModel", lambda s: {"input_features": _random(s, 2, 40, 16), **ids(s, length=6, name="decoder_input_ids")}, input_feat_per_channel=16, conv_channels=32, num_conv_layers=2, max_source_positions=64, max_target_positions=20, **{k: v for k, v in SEQ2SEQ.items() if k != "max_position_embeddings"}),
    sample("audio-spectrogram", "ASTModel", lambda s: {"input_values": _random(s, 2, 24, 16)}, num_mel_bins=16, max_length=24, hidden_size=32, num_hidden_layers=2, num_attention_heads=4, intermediate_size=37, patch_size=4, frequency_stride=4, time_stride=4),
    sample("dpt", "DPTModel", pixels, backbone_out_indices=[0, 1], neck_hidden_sizes=[16, 16], **IMAGE),
    sample("levit", "LevitModel", lambda s: pixels(s, 64), image_size=64, hidden_sizes=[16, 32, 48], num_attention_heads=[1, 2, 3], depths=[1, 1, 1], key_dim=[8, 8, 8]),
    sample("pvt", "PvtModel", pixels, image_size=32, depths=[1, 1, 1, 1], hidden_sizes=[8, 16, 16, 32], num_attention_heads=[1, 2, 2, 4], sequence_reduction_ratios=[4, 2, 2, 1]),
    sample("glpn", "GLPNModel", pixels, num_encoder_blocks=2, depths=[1, 1], sr_ratios=[4, 1], hidden_sizes=[16, 32], patch_sizes=[7, 3], strides=[4, 2], num_attention_heads=[1, 2], mlp_ratios=[2, 2]),
    sample("vilt", "ViltModel", lambda s: {**padded(s), **pixels(s)}, modality_type_vocab_size=2, max_image_length=-1, **{**TEXT, **IMAGE}),
    sample("granite", "GraniteForCausalLM", ids, **DECODER),
    sample("cohere", "CohereForCausalLM", ids, pad_token_id=0, bos_token_id=1, eos_token_id=2, **DECODER),
    sample("glm", "GlmForCausalLM", ids, head_dim=8, pad_token_id=0, eos_token_id=2, **DECODER),
    sample("persimmon", "PersimmonForCausalLM", ids, **TEXT),
    sample("rwkv", "RwkvForCausalLM", ids, vocab_size=99, hidden_size=32, num_hidden_layers=2, attention_hidden_size=32, intermediate_size=37),
    sample("mamba2", "Mamba2ForCausalLM", ids, vocab_size=99, hidden_size=32, num_hidden_layers=2, state_size=4, num_heads=8, head_dim=8, n_groups=1, chunk_size=4),
    sample("time-series", "TimeSeriesTransformerModel", lambda s: {"past_values": _random(s, 2, 11), "past_time_features": _random(s + 1, 2, 11, 1), "past_observed_mask": torch.ones(2, 11), "future_values": _random(s + 2, 2, 4), "future_time_features": _random(s + 3, 2, 4, 1)}, prediction_length=4, context_length=8, num_time_features=1, d_model=16, encoder_layers=1, decoder_layers=1, lags_sequence=[1, 2, 3]),
    sample("patchtst", "PatchTSTModel", lambda s: {"past_values": _random(s, 2, 32, 3)}, num_input_channels=3, context_length=32, patch_length=8, patch_stride=8, d_model=16, num_attention_heads=2, ffn_dim=32, num_hidden_layers=2),
    sample("decision", "DecisionTransformerModel", lambda s: {"states": _random(s, 2, 5, 4), "actions": _random(s + 1, 2, 5, 2), "rewards": _random(s + 2, 2, 5, 1), "returns_to_go": _random(s + 3, 2, 5, 1), "timesteps": torch.arange(5).repeat(2, 1), "attention_mask": torch.ones(2, 5)}, state_dim=4, act_dim=2, hidden_size=32, n_layer=2, n_head=4, max_ep_len=20),
]  # fmt: skip

ALL = {s.name: s for s in [*NAMED, *VARIANTS, *MORE]}
