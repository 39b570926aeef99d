"""Checkpoints as their authors lay them out, with random weights: our features are those of the original to the bit.

Where torchvision has the original it gives them; elsewhere names are turned from timm's into the authors' by hand, as
they stand in the code that the authors publish.
"""

import argparse
import logging
import re
import sys
from types import ModuleType

import pytest
import timm
import tiny_timm
import torch
from safetensors.torch import save_file
from torchvision.models.convnext import CNBlockConfig, ConvNeXt
from torchvision.models.resnet import Bottleneck, ResNet

from mtal.models import build_encoder, encoders
from mtal.models.weights import PretrainedWeightsUnavailableError

from .authors_layouts import (
    in_chunks,
    of_convnext_v2,
    of_dino,
    of_dino_v2,
    of_dino_v3,
    of_mae,
    of_metaformer,
    of_pvt_v2,
)

SIZE = (64, 96)
RELU = "tiny_caformer_relu"


@pytest.fixture(scope="module", autouse=True)
def relu():
    """A small CAFormer with ReLU beside the one with StarReLU."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(encoders.TIMM_NAMES, RELU, tiny_timm.CAFORMER)
        patch.setattr(encoders, "_WITH_RELU", (RELU,))
        yield


@pytest.fixture(scope="module")
def pictures():
    return torch.randint(0, 256, (2, 3, *SIZE), generator=torch.Generator().manual_seed(0), dtype=torch.uint8)


def randomised(model):
    """No weight keeps a value that another model may have by itself."""
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for tensor in (*model.parameters(), *(b for n, b in model.named_buffers() if "running" in n)):
            tensor.copy_(torch.rand(tensor.shape, generator=generator) * 0.5 + 0.1)
    return model.eval()


def original(name, size=SIZE):
    model = timm.create_model(encoders.TIMM_NAMES.get(name, name), **encoders._size_options(name, size))
    if name == RELU:
        encoders._use_relu(model)
    return randomised(model)


def file(folder, content):
    torch.save(content, folder / "w.pth")
    return folder / "w.pth"


def features(encoder, pictures):
    with torch.no_grad():
        levels = encoder.eval()(pictures)
    return levels[:4] if encoder.is_vit else levels[-4:]


def maps(model, pictures):
    with torch.no_grad():
        return model.forward_intermediates(pictures / 255, intermediates_only=True)[-4:]


def same(got, want):
    """But for rounding: modules of two libraries take other kernels, which agree to the bit on some processors only."""
    return len(got) == len(want) and all(
        (a - b).abs().max() <= 1e-5 * b.abs().max() for a, b in zip(got, want, strict=True)
    )


def load(name, path, size=SIZE, **options):
    """With pictures as they are, so that they need no thought."""
    return build_encoder(name, weights=path, image_size=size, mean=(0, 0, 0), std=(1, 1, 1), **options)


LAYOUTS = {
    "EndoViT": (tiny_timm.VIT, lambda s: {"model": of_mae(s), "epoch": 14, "args": argparse.Namespace()}),
    "DINO": (tiny_timm.VIT, lambda s: s),
    "DINO, whole": (tiny_timm.VIT, of_dino),
    "SurgeNet CAFormer": (RELU, of_metaformer),
    "SurgeNet CAFormer, whole": (RELU, lambda s: of_dino(of_metaformer(s))),
    "CAFormer": (tiny_timm.CAFORMER, of_metaformer),
    "SurgeNet ConvNeXtV2": (tiny_timm.CONVNEXT_V2, lambda s: {"model": of_convnext_v2(s)}),
    "SurgeNet PVTv2": (tiny_timm.PVT, of_pvt_v2),
    "Meta DINOv2": (tiny_timm.DINO_V2, of_dino_v2),
    "Meta DINOv2, in chunks": (tiny_timm.DINO_V2, lambda s: of_dino(in_chunks(of_dino_v2(s)))),
    "Meta DINOv2, registers": (tiny_timm.DINO_V2_REG, of_dino_v2),
    "timm DINOv2": (tiny_timm.DINO_V2, lambda s: s),
    "Meta DINOv3": (tiny_timm.DINO_V3_BIAS, of_dino_v3),
    "timm DINOv3": (tiny_timm.DINO_V3, lambda s: s),
    "average": (tiny_timm.VIT, lambda s: {"state_dict": {k: 0 * v for k, v in s.items()}, "state_dict_ema": s}),
    "compiled": (tiny_timm.VIT, lambda s: {"state_dict": {f"module._orig_mod.{k}": v for k, v in s.items()}}),
}


@pytest.mark.parametrize("layout", LAYOUTS)
def test_features_are_the_original_s_to_the_bit(tmp_path, layout):
    name, turned = LAYOUTS[layout]
    size = (112, 112) if "DINOv2" in layout else SIZE
    model = original(name, size)
    seen = torch.randint(0, 256, (1, 3, *size), generator=torch.Generator().manual_seed(0), dtype=torch.uint8)
    encoder = load(name, file(tmp_path, turned(model.state_dict())), size)
    want = maps(model, seen)
    assert same(features(encoder, seen), want)
    assert all(level.std() > 0 and level.isfinite().all() for level in want)


@pytest.fixture(scope="module")
def resnet():
    return randomised(ResNet(Bottleneck, [1, 1, 1, 1], num_classes=5))


@pytest.fixture(scope="module")
def levels(resnet, pictures):
    found, x = [], resnet.maxpool(resnet.relu(resnet.bn1(resnet.conv1(pictures / 255))))
    with torch.no_grad():
        for layer in (resnet.layer1, resnet.layer2, resnet.layer3, resnet.layer4):
            x = layer(x)
            found.append(x)
    return found


class TestTorchvision:
    @pytest.mark.parametrize(
        "wrapped",
        [
            lambda s: {
                **{f"backbone_img.model.{k}": v for k, v in s.items()},
                "backbone_img.global_embedder.weight": torch.zeros(3, 2048),
                "backbone_text.model.embeddings.word_embeddings.weight": torch.zeros(9, 4),
            },
            lambda s: {
                "classy_state_dict": {
                    "base_model": {
                        "model": {
                            "trunk": {f"_feature_blocks.{k}": v for k, v in s.items() if not k.startswith("fc.")},
                            "heads": {"0.clf.0.weight": torch.zeros(3, 2048)},
                        },
                        "meters": {},
                    },
                    "optimizer": {"optim": {"state": {0: {"momentum_buffer": torch.zeros(2)}}}},
                },
                "phase_idx": 300,
            },
        ],
        ids=["SurgVLP and PeskaVLP", "VISSL"],
    )
    def test_resnet(self, tmp_path, resnet, levels, pictures, wrapped):
        encoder = load(tiny_timm.RESNET, file(tmp_path, wrapped(resnet.state_dict())))
        assert same(features(encoder, pictures), levels)

    def test_convnext_of_lemonfm(self, tmp_path, pictures):
        blocks = [
            CNBlockConfig(8, 16, 1),
            CNBlockConfig(16, 24, 1),
            CNBlockConfig(24, 32, 2),
            CNBlockConfig(32, None, 1),
        ]
        model = randomised(ConvNeXt(blocks, layer_scale=0.1, num_classes=5))
        state = {k: v for k, v in model.state_dict().items() if not k.startswith("classifier.2.")}
        encoder = load(tiny_timm.CONVNEXT, file(tmp_path, of_dino(state)))
        want, x = [], pictures / 255
        with torch.no_grad():
            for i, part in enumerate(model.features):
                x = part(x)
                want += [x] if i % 2 else []
        assert same(features(encoder, pictures), want)


class TestTold:
    def told(self, caplog, *arguments, **options):
        with caplog.at_level(logging.INFO, "mtal.models.encoders"):
            build_encoder(*arguments, **options)
        (line,) = [r.getMessage() for r in caplog.records if r.name == "mtal.models.encoders"]
        return line

    def test_one_line(self, tmp_path, caplog):
        state = original(tiny_timm.VIT).state_dict()
        path = file(tmp_path, of_dino(state))
        line = self.told(caplog, tiny_timm.VIT, weights=path, image_size=SIZE)
        start = f"encoder.weights: {path}: 54 tensors of teacher.backbone are those of tiny_vit; 62 left out ("
        assert line.startswith(start + "student.module.backbone.cls_token, student.module.backbone.pos_embed, ")
        end = "timm's for tiny_vit: set encoder.mean and encoder.std where the weights were trained with others"
        assert line.endswith(f"; pictures of mean [0.485, 0.456, 0.406] and std [0.229, 0.224, 0.225] of rgb, {end}")

    def test_nothing_left_out(self, tmp_path, caplog):
        state = {k: v for k, v in original(tiny_timm.VIT).state_dict().items() if not k.startswith("head.")}
        save_file(state, tmp_path / "w.safetensors")
        endovit = {"mean": (0.3464, 0.228, 0.2228), "std": (0.252, 0.2128, 0.2093)}
        line = self.told(caplog, tiny_timm.VIT, weights=tmp_path / "w.safetensors", image_size=SIZE, **endovit)
        assert line.endswith(
            "none left out; pictures of mean [0.3464, 0.228, 0.2228] and std [0.252, 0.2128, 0.2093] of rgb"
        )

    def test_table_of_positions_of_another_size(self, tmp_path, caplog, pictures):
        """As timm's own model, which resamples its table at every picture."""
        model = original(tiny_timm.VIT, (96, 96))
        path = file(tmp_path, model.state_dict())
        line = self.told(caplog, tiny_timm.VIT, weights=path, image_size=SIZE)
        assert "are those of tiny_vit, pos_embed resampled from 37 to 25 places; 2 left out" in line
        assert same(features(load(tiny_timm.VIT, path), pictures), maps(model, pictures))

    def test_packaged_weights_are_not_worth_a_word(self, caplog):
        with caplog.at_level(logging.INFO):
            build_encoder("efficientnet_lite0", pretrained=True)
        assert not [r for r in caplog.records if r.name == "mtal.models.encoders"]


class TestRefused:
    def refused(self, path, name, **options):
        with pytest.raises(ValueError, match=rf"{re.escape(str(path))} does not fit {name}: ") as error:
            build_encoder(name, weights=path, image_size=SIZE, **options)
        return str(error.value).partition(f"fit {name}: ")[2]

    def test_all_faults_at_once(self, tmp_path):
        state = original(tiny_timm.VIT).state_dict()
        lacking = [k for k in state if k.startswith("blocks.0.norm")]
        state = {k: v for k, v in state.items() if k not in lacking}
        state |= {"cls_token": torch.zeros(1, 1, 5), "blocks.4.norm1.weight": torch.zeros(32)}
        assert self.refused(file(tmp_path, state), tiny_timm.VIT) == (
            f"4 tensors are missing ({', '.join(lacking[:3])}, …) and 1 tensor is of another shape (cls_token is "
            "[1, 1, 5] instead of [1, 1, 32]) and 1 tensor is without a place in it (blocks.4.norm1.weight)"
        )

    @pytest.mark.parametrize(("of", "into"), [(RELU, tiny_timm.CAFORMER), (tiny_timm.CAFORMER, RELU)])
    def test_activation_of_another_caformer(self, tmp_path, of, into):
        told = self.refused(file(tmp_path, of_metaformer(original(of).state_dict())), into)
        fault = "missing" if of == RELU else "without a place in it"
        assert re.match(rf"14 tensors are {fault} \(stages\S+\.act\S+, .*, …\)$", told)

    def test_another_width(self, tmp_path):
        """Names agree and shapes do not: that is what is told."""
        told = self.refused(file(tmp_path, timm.create_model("vit_tiny_patch16_224").state_dict()), tiny_timm.VIT)
        assert told.startswith("52 tensors are of another shape (cls_token is [1, 1, 192] instead of [1, 1, 32], ")

    def test_patches_of_another_size(self, tmp_path):
        """timm would resample them without a word."""
        state = original(tiny_timm.VIT).state_dict()
        state["patch_embed.proj.weight"] = torch.zeros(32, 3, 8, 8)
        told = "patch_embed.proj.weight is [32, 3, 8, 8] instead of [32, 3, 16, 16]"
        assert told in self.refused(file(tmp_path, state), tiny_timm.VIT)

    def test_biases_that_timm_has_no_place_for(self, tmp_path):
        state = of_dino_v3(original(tiny_timm.DINO_V3_BIAS).state_dict())
        path = file(tmp_path, state)
        told = self.refused(path, tiny_timm.DINO_V3)
        assert "4 tensors are without a place in it (blocks.0.attn.qkv.bias, which is not 0, " in told
        path = file(tmp_path, {k: v for k, v in state.items() if "mask" not in k})
        told = self.refused(path, tiny_timm.DINO_V3_BIAS)
        assert "4 tensors are without a place in it (blocks.0.attn.qkv.bias of the keys, which is not 0, " in told

    def test_dino_v3_of_surgenet(self, tmp_path):
        state = of_dino_v3(original(tiny_timm.DINO_V3_BIAS).state_dict())
        state = {k: v for k, v in state.items() if k != "storage_tokens"}
        told = "it is a DINOv3 without register tokens, of which timm has no model"
        assert self.refused(file(tmp_path, state), tiny_timm.DINO_V3_BIAS) == told

    def test_layout_of_transformers(self, tmp_path):
        path = file(tmp_path, {"embeddings.patch_embeddings.projection.weight": torch.zeros(32, 3, 16, 16)})
        told = "its names are those of the library transformers; take the file of the authors' own code, or timm's"
        assert self.refused(path, tiny_timm.VIT) == told

    def test_shapes_alone(self, tmp_path):
        model = original(tiny_timm.VIT)
        path = file(tmp_path, {f"t{i}": v for i, v in enumerate(model.state_dict().values())})
        told = "no name agrees, but all shapes do in order; encoder.match=shape takes them so"
        assert self.refused(path, tiny_timm.VIT) == told
        encoder = build_encoder(tiny_timm.VIT, weights=path, image_size=SIZE, match="shape")
        assert torch.equal(encoder.backbone.model.blocks[3].mlp.fc2.weight, model.blocks[3].mlp.fc2.weight)

    def test_neither_shapes(self, tmp_path):
        told = self.refused(file(tmp_path, {"a": torch.zeros(2)}), tiny_timm.VIT, match="shape")
        assert told.startswith("encoder.match=shape takes the file's 1 tensors one to one in order")

    def test_no_such_match(self):
        with pytest.raises(ValueError, match=r"encoder\.match must be name or shape, not 'order'"):
            build_encoder(tiny_timm.VIT, match="order")

    @pytest.mark.parametrize(
        ("of", "into"),
        [
            ("resnet18", tiny_timm.VIT),
            ("vit_tiny_patch16_224", "vit_small_patch16_224"),
            ("vit_tiny_patch16_224", tiny_timm.RESNET),
        ],
    )
    def test_the_model_that_it_fits_is_named(self, tmp_path, of, into):
        model = timm.create_model(of)
        path = file(tmp_path, {"teacher": {f"backbone.{k}": v for k, v in model.state_dict().items()}})
        assert self.refused(path, into).endswith(f". It fits encoder.name={of}")

    def test_relu_at_the_hub(self):
        with pytest.raises(PretrainedWeightsUnavailableError, match=f"there are no weights of '{RELU}'"):
            build_encoder(RELU, pretrained=True)


class TestPickledCode:
    @pytest.mark.parametrize("zipped", [True, False])
    def test_way_out(self, tmp_path, monkeypatch, zipped):
        """The command in the message makes a file that loads."""
        own = ModuleType("own")
        own.Code = type("Code", (), {"__module__": "own"})
        monkeypatch.setitem(sys.modules, "own", own)
        monkeypatch.chdir(tmp_path)
        model = original(tiny_timm.VIT)
        content = {"model": model.state_dict(), "by": own.Code()}
        torch.save(content, tmp_path / "w.pth", _use_new_zipfile_serialization=zipped)
        with pytest.raises(ValueError, match=r"objects whose code .* \(Unsupported global: GLOBAL own\.Code\)") as e:
            load(tiny_timm.VIT, tmp_path / "w.pth")
        exec(re.search(r'python -c "([^"]*)"$', str(e.value))[1], {})
        encoder = load(tiny_timm.VIT, tmp_path / "tensors.pth")
        assert torch.equal(encoder.backbone.model.cls_token, model.cls_token)

    def test_no_tensor(self, tmp_path):
        with pytest.raises(
            ValueError, match=r"w\.pth can't be read as a file of weights: it holds no tensor with a name"
        ):
            load(tiny_timm.VIT, file(tmp_path, {"epoch": 3}))
