"""Opening checkpoints: every known format, and every refusal, named and without side effects."""

from __future__ import annotations

import json
import resource
import sys
import time
import tracemalloc
from collections.abc import Callable
from pathlib import Path
from typing import Any

import foreign
import hostile
import numpy as np
import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file

from duchenne.errors import OutputError, WeightsError
from duchenne.generators.checkpoints import MAX_BYTES, convert, load_generator
from duchenne.generators.foreign.archives import StoredTensor, read_archive
from duchenne.generators.foreign.pickles import MAX_DEPTH


def refused(path: Path, match: str) -> None:
    with pytest.raises(WeightsError, match=match):
        load_generator(path)


def nvidia(path: Path, generator: Any, protocol: int = 4) -> Path:
    path.write_bytes(foreign.nvidia_bytes(generator, protocol))
    return path


def w_codes(network: Any) -> torch.Tensor:
    rng = torch.Generator().manual_seed(0)
    return torch.randn(2, network.rows, foreign.W_DIM, generator=rng)


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """One small checkpoint of every format."""
    folder = tmp_path_factory.mktemp("formats")
    one, two = foreign.genforce_state(), foreign.rosinality_state()
    contents = {
        "rosinality.pt": foreign.rosinality_contents(two),
        "rosinality-training.pt": foreign.rosinality_training(two),
        "rosinality-bare.pt": two,
        "genforce.pth": {"generator": {}, "discriminator": {}, "generator_smooth": one},
        "genforce-runner.pth": {"models": {"generator": one}, "running_metadata": {"iter": 3}},
        "genforce-parallel.pth": {f"module.{name}": value for name, value in one.items()},
        "genforce2.pth": {"generator_smooth": foreign.genforce2_state()},
        "interfacegan.pth": foreign.older_genforce_state(one, "linear", "first_layer"),
        "idinvert.pth": foreign.older_genforce_state(one, "fc", "const"),
    }
    paths = {name: foreign.save(value, folder / name) for name, value in contents.items()}
    for name in ("rosinality.pt", "interfacegan.pth"):
        old = f"old-{name}"
        paths[old] = foreign.save(contents[name], folder / old, zipped=False)
    generator = foreign.nvidia_generator()
    for protocol in (2, 3, 4, 5):
        name = f"nvidia-{protocol}.pkl"
        paths[name] = nvidia(folder / name, generator, protocol)
    paths["own.safetensors"] = convert(paths["nvidia-4.pkl"], folder / "own.safetensors")
    return paths


FORMATS = [
    *("rosinality.pt", "rosinality-training.pt", "rosinality-bare.pt", "old-rosinality.pt"),
    *("genforce.pth", "genforce-runner.pth", "genforce-parallel.pth", "genforce2.pth"),
    *("interfacegan.pth", "old-interfacegan.pth", "idinvert.pth"),
    *("nvidia-2.pkl", "nvidia-3.pkl", "nvidia-4.pkl", "nvidia-5.pkl", "own.safetensors"),
]
SAME = [
    {"genforce.pth", "genforce-runner.pth", "genforce-parallel.pth"}
    | {"interfacegan.pth", "old-interfacegan.pth", "idinvert.pth"},
    {"rosinality.pt", "old-rosinality.pt"},
    {"rosinality-training.pt", "rosinality-bare.pt"},
    {"nvidia-2.pkl", "nvidia-3.pkl", "nvidia-4.pkl", "nvidia-5.pkl", "own.safetensors"},
]


# Formats


@pytest.mark.parametrize("name", FORMATS)
def test_formats_load(files: dict[str, Path], name: str) -> None:
    network = load_generator(files[name])
    assert network.size == 32
    assert network.rows == 8
    assert not network.training
    assert not any(weight.requires_grad for weight in network.parameters())
    image = network.synthesize(w_codes(network))
    assert image.shape == (2, 3, 32, 32)
    assert bool(torch.isfinite(image).all())


def test_one_network_one_fingerprint(files: dict[str, Path]) -> None:
    prints = {name: load_generator(files[name]).fingerprint for name in FORMATS}
    groups = [{prints[name] for name in group} for group in SAME]
    assert [len(group) for group in groups] == [1, 1, 1, 1]
    assert len(set.union(*groups)) == 4
    assert prints["nvidia-4.pkl"].startswith("stylegan2-32-")
    assert prints["genforce.pth"].startswith("stylegan1-32-")


@pytest.mark.parametrize(("base", "width"), [(32768, 512), (16384, 256)], ids=["f", "e"])
def test_official_widths(tmp_path: Path, base: int, width: int) -> None:
    """config-f and config-e differ in the widths from 64 px up."""
    generator = foreign.nvidia_generator(size=64, base=base, most=512)
    network = load_generator(nvidia(tmp_path / "wide.pkl", generator))
    assert network.config.channels == (512, 512, 512, 512, width)


def test_options_are_read_from_the_file(tmp_path: Path) -> None:
    options: dict[str, Any] = {"architecture": "resnet", "conv_clamp": 256, "use_noise": False}
    generator = foreign.nvidia_generator(**options, mapping_layers=3)
    path = nvidia(tmp_path / "network.pkl", generator)
    config = load_generator(path).config
    assert config.architecture == "resnet"
    assert config.clamp == 256.0
    assert not config.noise
    assert config.mapping == (foreign.W_DIM,) * 4
    again = load_generator(convert(path, tmp_path / "network.safetensors"))
    assert again.config == config


def test_a_bare_network_without_its_dictionary(tmp_path: Path) -> None:
    path = tmp_path / "network.pkl"
    with foreign.nvidia_modules():
        path.write_bytes(foreign.pickle.dumps(foreign.nvidia_generator()))
    assert load_generator(path).rows == 8


def has_its_mean(network: Any) -> None:
    rng = torch.Generator().manual_seed(1)
    draws = network.mapping(torch.randn(20_000, foreign.W_DIM, generator=rng))
    assert torch.allclose(network.w_mean, draws.mean(dim=0), atol=0.1 * float(draws.std()))


def test_mean_is_estimated_where_the_file_has_none(files: dict[str, Path]) -> None:
    has_its_mean(load_generator(files["rosinality-training.pt"]))


def test_a_network_that_does_not_track_its_mean(tmp_path: Path) -> None:
    """NVIDIA's option w_avg_beta=None: no mean is promised, so one is estimated."""
    generator = foreign.nvidia_generator()
    mapping = generator.state["_modules"]["mapping"].state
    del mapping["_buffers"]["w_avg"]
    refused(nvidia(tmp_path / "network.pkl", generator), r"mapping\.w_avg is missing")
    mapping["w_avg_beta"] = None
    has_its_mean(load_generator(nvidia(tmp_path / "network.pkl", generator)))


def test_tensors_of_a_gpu(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Networks that were saved on a GPU say so beside every storage; it does not matter here."""
    generator = foreign.nvidia_generator()
    here = nvidia(tmp_path / "here.pkl", generator)
    monkeypatch.setattr("torch.serialization.location_tag", lambda storage: "cuda:0")
    there = nvidia(tmp_path / "there.pkl", generator)
    assert b"cuda:0" in there.read_bytes()
    assert b"cuda:0" not in here.read_bytes()
    assert load_generator(there).fingerprint == load_generator(here).fingerprint
    zipped = foreign.save(
        foreign.rosinality_contents(foreign.rosinality_state()), tmp_path / "r.pt"
    )
    assert load_generator(zipped).w_mean.device.type == "cpu"


@pytest.mark.parametrize("shape", [(foreign.W_DIM,), (1, foreign.W_DIM)])
def test_both_forms_of_rosinalitys_mean(tmp_path: Path, shape: tuple[int, ...]) -> None:
    contents = foreign.rosinality_contents(foreign.rosinality_state())
    mean = torch.arange(foreign.W_DIM) / 7
    contents["latent_avg"] = mean.reshape(shape)
    network = load_generator(foreign.save(contents, tmp_path / "network.pt"))
    assert torch.equal(network.w_mean, mean)
    for wrong, reason in (
        (mean.reshape(4, -1), "latent_avg has shape"),
        (mean[:5], "latent_avg has shape"),
        (mean * float("nan"), "latent_avg contains values that are not finite"),
        (torch.zeros(foreign.W_DIM, dtype=torch.int64), "latent_avg: expected floating-point"),
    ):
        contents["latent_avg"] = wrong
        refused(foreign.save(contents, tmp_path / "network.pt"), reason)


def test_numbers_of_other_types(tmp_path: Path) -> None:
    """Halves and doubles become float32, exactly where they can be."""
    state = foreign.genforce_state()
    half = {name: value.half() for name, value in state.items()}
    double = {name: value.half().double() for name, value in state.items()}
    prints = []
    for contents in (half, double):
        for zipped in (True, False):
            path = foreign.save(contents, tmp_path / "network.pth", zipped)
            prints.append(load_generator(path).fingerprint)
    assert len(set(prints)) == 1


def test_tensors_keep_their_strides(tmp_path: Path) -> None:
    """Slices, transposes and channels-last tensors, several of them in one storage."""
    base = torch.arange(24.0)
    contents = {
        "slice": base[3:9:2],
        "turned": base.reshape(4, 6).T,
        "last": base.reshape(1, 2, 3, 4).to(memory_format=torch.channels_last),
        "scalar": base[5],
        "none": base[:0],
    }
    for zipped in (True, False):
        path = foreign.save(contents, tmp_path / "tensors.pt", zipped)
        read = read_archive(memoryview(path.read_bytes()))
        for name, expected in contents.items():
            assert isinstance(read[name], StoredTensor)
            assert torch.equal(read[name].read(), expected)


# Conversion


def test_conversion_keeps_every_bit(files: dict[str, Path]) -> None:
    network, own = load_generator(files["nvidia-4.pkl"]), load_generator(files["own.safetensors"])
    codes = w_codes(network)
    assert torch.equal(network.synthesize(codes), own.synthesize(codes))


def test_conversion_stores_data_only(files: dict[str, Path]) -> None:
    with safe_open(files["own.safetensors"], framework="pt") as file:
        metadata = file.metadata()
    assert metadata["format"] == "duchenne-generator"
    assert metadata["architecture"] == "stylegan2"
    assert json.loads(metadata["config"])["size"] == 32
    assert foreign.SOURCE.encode() not in files["own.safetensors"].read_bytes()


def test_conversion_is_all_or_nothing(files: dict[str, Path], tmp_path: Path) -> None:
    with pytest.raises(OutputError, match="could not be written"):
        convert(files["genforce.pth"], tmp_path / "missing" / "out.safetensors")
    target = tmp_path / "taken"
    target.mkdir()
    with pytest.raises(OutputError, match="could not be written"):
        convert(files["genforce.pth"], target)
    assert [path.name for path in tmp_path.iterdir()] == ["taken"]  # no temporary file is left


def test_own_format_notices_changes(files: dict[str, Path], tmp_path: Path) -> None:
    with safe_open(files["own.safetensors"], framework="pt") as file:
        metadata = file.metadata()
    tensors = load_file(files["own.safetensors"])
    path = tmp_path / "changed.safetensors"
    tensors["fir"][0, 0] += 1e-3
    save_file(tensors, path, metadata)
    refused(path, "fingerprint")
    del tensors["fir"]
    save_file(tensors, path, metadata)
    refused(path, "fir is missing")


def test_a_configuration_of_fewer_layers_than_tensors(
    files: dict[str, Path], tmp_path: Path
) -> None:
    with safe_open(files["own.safetensors"], framework="pt") as file:
        metadata = file.metadata()
    config = json.loads(metadata["config"])
    config["mapping"] = config["mapping"][:-1]
    path = tmp_path / "changed.safetensors"
    save_file(load_file(files["own.safetensors"]), path, {**metadata, "config": json.dumps(config)})
    refused(path, "no place for")


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"version": "2"}, "version"),
        ({"architecture": "stylegan9"}, "architecture"),
        ({"config": "{"}, "configuration"),
        ({"config": "[]"}, "configuration"),
        ({"config": '{"size": 33, "channels": [1], "mapping": [1]}'}, "size"),
        ({"config": '{"size": 8.0, "channels": [4, 4], "mapping": [4, 4]}'}, "size"),
        ({"config": "[" * 100_000}, "configuration"),
        ({"config": '{"size": ' + "9" * 5000 + "}"}, "configuration"),
        ({"config": '{"size": 32, "channels": [1e9], "mapping": [1]}'}, "widths"),
        ({"config": '{"size": 8, "channels": [4, 4], "mapping": [4, 4], "x": 1}'}, "fit"),
    ],
)
def test_own_format_is_checked(
    files: dict[str, Path], tmp_path: Path, change: dict[str, str], reason: str
) -> None:
    with safe_open(files["own.safetensors"], framework="pt") as file:
        metadata = file.metadata()
    path = tmp_path / "changed.safetensors"
    save_file(load_file(files["own.safetensors"]), path, {**metadata, **change})
    refused(path, reason)


# Networks that are refused


def test_conditional_networks(tmp_path: Path) -> None:
    path = nvidia(tmp_path / "network", foreign.nvidia_generator(c_dim=10))
    refused(path, r"conditional network.*c_dim")
    for state in (foreign.genforce_state(), foreign.genforce2_state()):
        state["mapping.label_weight"] = torch.ones(3, foreign.W_DIM)
        refused(foreign.save(state, path), "conditional network")


def test_stylegan3(tmp_path: Path) -> None:
    generator = foreign.nvidia_generator()
    layers = {"input": foreign.module("SynthesisInput", {}), "L0_36_16": None}
    generator.state["_modules"]["synthesis"].state["_modules"] = layers
    refused(nvidia(tmp_path / "network.pkl", generator), "StyleGAN3")


def test_stylegan3_written_with_arrays_of_protocol_5(tmp_path: Path) -> None:
    """Its layers keep numpy arrays, which protocol 5 writes in another way."""
    generator = foreign.nvidia_generator()
    attributes = {"size": np.broadcast_to(np.asarray(36), [2]), "bandwidth": np.float64(2)}
    layers = {"input": foreign.module("SynthesisInput", attributes)}
    generator.state["_modules"]["synthesis"].state["_modules"] = layers
    for protocol in (2, 4, 5):
        refused(nvidia(tmp_path / "network.pkl", generator, protocol), "a StyleGAN3 network")


def test_unfinished_stylegan(tmp_path: Path) -> None:
    state = foreign.genforce_state()
    state["synthesis.lod"] = torch.tensor(1.5)
    refused(foreign.save(state, tmp_path / "network.pth"), r"level of detail 1\.5")


MAKERS = {
    "rosinality": (foreign.rosinality_state, "convs.1.conv.weight"),
    "genforce": (foreign.genforce_state, "synthesis.layer3.weight"),
    "genforce2": (foreign.genforce2_state, "synthesis.layer3.weight"),
}


@pytest.mark.parametrize("kind", MAKERS)
def test_each_missing_tensor_is_named(kind: str, tmp_path: Path) -> None:
    whole = MAKERS[kind][0]()
    needed = [name for name in whole if not name.endswith("kernel") and "output" not in name]
    for name in needed[:: max(1, len(needed) // 12)]:
        state = {key: value for key, value in whole.items() if key != name}
        if name == "synthesis.lod":
            continue
        with pytest.raises(WeightsError) as caught:
            load_generator(foreign.save(state, tmp_path / "network.pth"))
        first = name.split(".")[0]
        assert name in str(caught.value) or first in str(caught.value)


DAMAGES: dict[str, tuple[Callable[[dict[str, Any], str], object], str]] = {
    "missing": (lambda state, name: state.pop(name), "{} is missing"),
    "shape": (
        lambda state, name: state.update({name: state[name][..., :2]}),
        "{} has shape .* expected",
    ),
    "unknown": (
        lambda state, _: state.update({"extra.weight": torch.ones(2)}),
        "unknown tensor 'extra.weight'",
    ),
    "not finite": (
        lambda state, name: state[name].view(-1)[5:6].fill_(float("nan")),
        "{} contains values that are not finite",
    ),
    "whole numbers": (
        lambda state, name: state.update({name: state[name].long()}),
        "{}: expected floating-point",
    ),
    "text": (lambda state, name: state.update({name: "text"}), "no generator"),
}


@pytest.mark.parametrize("kind", MAKERS)
@pytest.mark.parametrize("damage", DAMAGES)
def test_damaged_state_dicts(kind: str, damage: str, tmp_path: Path) -> None:
    (make, name), (spoil, match) = MAKERS[kind], DAMAGES[damage]
    state = make()
    spoil(state, name)
    refused(foreign.save(state, tmp_path / "network.pth"), match.format(name))


@pytest.mark.parametrize(
    ("path", "change", "match"),
    [
        ("synthesis.b8.conv0", {"activation": "relu"}, "only the activation lrelu"),
        ("mapping.fc0", {"activation": "linear"}, "only the activation lrelu"),
        ("mapping.fc0", {"weight_gain": float("nan")}, "weight_gain: expected a positive"),
        ("synthesis.b8.conv1", {"conv_clamp": 9}, "conv_clamp"),
        ("synthesis.b8.conv1", {"conv_clamp": [9]}, "conv_clamp"),
        ("synthesis.b4.conv1", {"conv_clamp": True}, "conv_clamp"),
        ("synthesis.b8.conv1", {"use_noise": {}}, "use_noise"),
        ("synthesis.b4", {"architecture": "stairs"}, "unknown architecture 'stairs'"),
        ("synthesis.b8.conv1", {"_parameters": None}, "without its _parameters"),
        ("", {"img_resolution": 48}, "an image of 48 px"),
        ("", {"img_channels": 1}, "1 channels"),
        ("", {"img_resolution": 64}, r"b64\.conv1\.bias is missing"),
        ("", {"c_dim": None}, "c_dim: expected a whole number"),
        ("mapping", {"num_layers": 5}, "not as announced"),
    ],
)
def test_nvidia_attributes(tmp_path: Path, path: str, change: dict[str, Any], match: str) -> None:
    generator = foreign.nvidia_generator()
    module = generator
    for name in path.split(".") if path else ():
        module = module.state["_modules"][name]
    module.state.update(change)
    refused(nvidia(tmp_path / "network.pkl", generator), match)


def test_messages_stay_short(tmp_path: Path) -> None:
    state = foreign.genforce_state()
    state["new\nline" + "x" * 10_000] = torch.ones(1)
    refuse(foreign.save(state, tmp_path / "network.pth").read_bytes(), tmp_path, tmp_path / "none")


def test_missing_files(tmp_path: Path) -> None:
    refused(tmp_path / "missing.pkl", "No such file")
    refused(tmp_path, "not a file")


# Hostile files


def refuse(content: bytes, tmp_path: Path, canary: Path) -> str:
    """Load it; return the error's text. Nothing may have been run or imported."""
    path = tmp_path / "checkpoint"
    path.write_bytes(content)
    modules = set(sys.modules)
    with pytest.raises(WeightsError) as caught:
        load_generator(path)
    assert not canary.exists()
    fresh = set(sys.modules) - modules
    assert not {name for name in fresh if not name.startswith("encodings")}  # zipfile's cp437
    text = str(caught.value)
    assert text.startswith(str(path))
    assert "\n" not in text
    assert len(text) < 500 + len(str(path))
    return text


TRAPS = hostile.traps(Path("canary"))


@pytest.mark.parametrize("name", TRAPS)
def test_traps(tmp_path: Path, name: str) -> None:
    canary = tmp_path / "canary"
    content = hostile.traps(canary)[name]
    text = refuse(content, tmp_path, canary)
    if name in ("os.system", "NEWOBJ", "STACK_GLOBAL", "name in the memo"):
        assert "os.system" in text
    if name == "TensorFlow network":
        assert "legacy.py" in text


def test_the_traps_are_live(tmp_path: Path) -> None:
    """The canary does sing when Python's own pickle opens one of them."""
    canary = tmp_path / "canary"
    foreign.pickle.loads(hostile.traps(canary)["os.system"])
    assert canary.exists()


def test_source_code_in_a_network_is_not_run(files: dict[str, Path]) -> None:
    assert b"SystemExit" in files["nvidia-4.pkl"].read_bytes()
    assert load_generator(files["nvidia-4.pkl"]).rows == 8


@pytest.mark.parametrize("name", hostile.bombs())
def test_bombs(tmp_path: Path, name: str) -> None:
    content = hostile.bombs()[name]
    tracemalloc.start()
    try:
        refuse(content, tmp_path, tmp_path / "canary")
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 100e6


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("copies of a dictionary", "pickle instructions and copied items"),
        ("copies of a set", "pickle instructions and copied items"),
        ("copies of a text", "copies the same text again and again"),
        ("a slow storage, again and again", "pickle instructions and copied items"),
        ("wide texts", "bytes more than in the file"),
    ],
)
def test_a_value_that_is_named_again_and_again(tmp_path: Path, name: str, reason: str) -> None:
    assert reason in refuse(hostile.bombs()[name], tmp_path, tmp_path / "canary")


@pytest.mark.parametrize("start", [b"\x80\x02}.", b"PK\x03\x04", b"\x80\x02X\0\0\0\x01"])
@pytest.mark.parametrize("size", [6 << 30, MAX_BYTES])
def test_a_sparse_file_costs_no_memory(start: bytes, size: int, tmp_path: Path) -> None:
    path = tmp_path / "sparse.pkl"
    with path.open("wb") as file:
        file.write(start)
        file.truncate(size)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    refused(path, "more than 4 GB" if size > MAX_BYTES else "sparse.pkl: ")
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 200_000  # KB


def test_keys_of_one_hash_are_refused_at_once(tmp_path: Path) -> None:
    """Each comes with all before it into one place of a dictionary: 40,000 took minutes."""
    modulus = sys.hash_info.modulus
    keys = [modulus * (i + 1) for i in range(40_000)]
    assert len(set(map(hash, keys[:100]))) == 1
    for kind in (b"}(%bu.", b"\x8f(%b\x90."):
        items = b"".join(
            b"\x8a\x0a" + key.to_bytes(10, "little") + (b"N" if kind[0] == 0x7D else b"")
            for key in keys
        )
        (tmp_path / "keys.pkl").write_bytes(b"\x80\x04" + kind % items)
        start = time.monotonic()
        refused(tmp_path / "keys.pkl", "whole number above")
        assert time.monotonic() - start < 5


NAMED = {
    "web page": ["<!DOCTYPE"],
    "empty": ["empty file"],
    "zip, trap inside": ["os.system"],
    "stream, trap in place of the tensors": ["os.system"],
    "zip bomb": ["compressed"],
    "zip, compressed": ["compressed"],
    "zip, wrong checksum": ["checksum"],
    "zip, member lies about its size": ["more bytes than the file has"],
    "zip, storage missing": ["lacks the numbers of storage '3'"],
    "zip, big-endian": ["little-endian"],
    "zip, very many members": ["more than 100000 members"],
    "zip, one member under many names": ["more bytes than the file has"],
    "zip, TorchScript": ["__torch__.M"],
    "one storage for all tensors": ["a network of", "the file has"],
    "a classifier": ["state_dict"],
    "a list": ["holds a list"],
    "protocol 9": ["protocol 9"],
}


def test_other_kinds(tmp_path: Path) -> None:
    canary = tmp_path / "canary"
    for name, content in hostile.others(canary, tmp_path).items():
        text = refuse(content, tmp_path, canary)
        for words in NAMED.get(name, ()):
            assert words in text, (name, text)


@pytest.mark.parametrize("name", FORMATS)
def test_truncated(files: dict[str, Path], tmp_path: Path, name: str) -> None:
    content = files[name].read_bytes()
    step = max(1, len(content) // 8)
    for length in (1, 2, 9, 15, 100, len(content) - 1, *range(step, len(content), step)):
        refuse(content[:length], tmp_path, tmp_path / "canary")


@pytest.mark.parametrize("name", FORMATS)
def test_flipped_bits(files: dict[str, Path], tmp_path: Path, name: str) -> None:
    """A damaged file is refused, or its network is the whole one, where it has checksums.

    Plain pickles and PyTorch's old streams have none: a changed digit may pass. Never a crash.
    """
    content = bytearray(files[name].read_bytes())
    checked = name.endswith((".pt", ".pth", ".safetensors")) and not name.startswith("old")
    whole = load_generator(files[name]).fingerprint
    rng = torch.Generator().manual_seed(0)
    path = tmp_path / "checkpoint"
    refused = 0
    for position in torch.randint(len(content), (20,), generator=rng).tolist():
        content[position] ^= 0x10
        path.write_bytes(content)
        try:
            network = load_generator(path)
            assert not checked or network.fingerprint == whole  # padding, or a date
        except WeightsError:
            refused += 1
        content[position] ^= 0x10
    assert not checked or refused > 14


def test_depth_limit_leaves_room_for_real_files(files: dict[str, Path]) -> None:
    path = files["nvidia-4.pkl"]
    contents = read_archive(memoryview(path.read_bytes()))

    def depth(value: Any) -> int:
        if isinstance(value, dict):
            return 1 + max((depth(item) for item in value.values()), default=0)
        state = getattr(value, "state", None)
        return 1 + depth(state) if isinstance(state, dict) else 0

    assert depth(contents) < MAX_DEPTH / 4
