"""Tensors of timm's models under the names that the authors of their weights give them."""

import argparse
import re

import torch


def renamed(state, *rules):
    for rule in rules:
        state = {re.sub(*rule, name): tensor for name, tensor in state.items()}
    return state


def of_metaformer(state):
    return renamed(
        state,
        (r"^stem\.conv", "downsample_layers.0.conv"),
        (r"^stem\.norm", "downsample_layers.0.post_norm"),
        (r"^stages\.(\d)\.downsample\.norm", r"downsample_layers.\1.pre_norm"),
        (r"^stages\.(\d)\.downsample\.conv", r"downsample_layers.\1.conv"),
        (r"^stages\.(\d)\.blocks\.", r"stages.\1."),
        (r"^head\.norm", "norm"),
        (r"^head\.fc", "head"),
    )


def of_convnext_v2(state):
    turned = renamed(
        state,
        (r"^stem\.", "downsample_layers.0."),
        (r"^stages\.(\d)\.downsample\.", r"downsample_layers.\1."),
        (r"^stages\.(\d)\.blocks\.", r"stages.\1."),
        (r"conv_dw", "dwconv"),
        (r"mlp\.fc", "pwconv"),
        (r"mlp\.grn\.weight", "grn.gamma"),
        (r"mlp\.grn\.bias", "grn.beta"),
        (r"^head\.norm", "norm"),
        (r"^head\.fc", "head"),
    )
    return {k: v.view(1, 1, 1, -1) if "grn" in k else v for k, v in turned.items()}


def of_pvt_v2(state):
    return renamed(
        state,
        (r"^patch_embed\.", "patch_embed1."),
        (r"^stages\.(\d)\.downsample\.", lambda m: f"patch_embed{int(m[1]) + 1}."),
        (r"^stages\.(\d)\.blocks\.", lambda m: f"block{int(m[1]) + 1}."),
        (r"^stages\.(\d)\.norm\.", lambda m: f"norm{int(m[1]) + 1}."),
        (r"mlp\.dwconv", "mlp.dwconv.dwconv"),
    )


def of_mae(state):
    decoder = {"decoder_embed.weight": torch.zeros(8, 32), "decoder_blocks.0.norm1.weight": torch.zeros(8)}
    kept = {k: v for k, v in state.items() if not k.startswith("head.")}
    return kept | decoder | {"mask_token": torch.zeros(1, 1, 8), "decoder_pos_embed": torch.zeros(1, 25, 8)}


def of_dino_v2(state):
    turned = {k: v for k, v in state.items() if k != "reg_token"} | {"mask_token": torch.zeros(1, 32)}
    if "reg_token" in state:  # the class token has a place of its own there, whose embedding is added
        turned["register_tokens"] = state["reg_token"]
        turned["pos_embed"] = torch.cat([torch.zeros(1, 1, 32), state["pos_embed"]], dim=1)
    return turned


def in_chunks(state):
    return renamed(state, (r"^blocks\.(\d+)\.", lambda m: f"blocks.{int(m[1]) // 2}.{m[1]}."))


def of_dino_v3(state):
    turned = renamed(state, (r"reg_token", "storage_tokens"), (r"gamma_(\d)", r"ls\1.gamma"))
    for i in range(4):
        queries, values = (turned.pop(f"blocks.{i}.attn.{x}_bias", torch.zeros(32)) for x in "qv")
        turned[f"blocks.{i}.attn.qkv.bias"] = torch.cat([queries, torch.full((32,), 7.0), values])
        turned[f"blocks.{i}.attn.qkv.bias_mask"] = torch.cat([torch.ones(32), torch.zeros(32), torch.ones(32)])
    return turned | {"mask_token": torch.zeros(1, 32), "rope_embed.periods": torch.ones(4)}


def of_dino(state):
    """A whole checkpoint of a student and its teacher, whose names begin in two ways."""
    head = {"head.mlp.0.weight": torch.zeros(8, 32), "head.last_layer.weight_v": torch.zeros(8, 8)}
    teacher = {f"backbone.{k}": v for k, v in state.items()} | head
    return {
        "student": {f"module.{k}": torch.zeros_like(v) for k, v in teacher.items()},
        "teacher": teacher,
        "optimizer": {"state": {0: {"exp_avg": torch.zeros(2)}}, "param_groups": [{"lr": 0.1}]},
        "epoch": 50,
        "args": argparse.Namespace(arch="vit_small"),
    }
