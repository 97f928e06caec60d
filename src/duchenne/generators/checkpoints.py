"""Opens a generator's weights whatever tool wrote them, and never runs what the file says.

    generator = load_generator("ffhq.pkl")
    convert("ffhq.pkl", "ffhq.safetensors")

Told apart by content, not by name: NVIDIA's network pickles (StyleGAN2-ADA's and StyleGAN3's
repositories, StyleGAN2 networks), rosinality's `.pt`, GenForce's and InterFaceGAN's `.pth`, and the
project's own safetensors. docs/generators.md lists what there is and where.
"""

from __future__ import annotations

import json
import math
import mmap
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any, get_args

import torch
from safetensors import SafetensorError
from safetensors.torch import load, save
from torch import Tensor

from ..errors import InputError, WeightsError, quoted
from ..files import codes
from ..reading import texts
from .foreign import stylegan1_layouts, stylegan2_layouts
from .foreign.archives import StoredTensor, read_archive
from .foreign.layouts import MAX_MAPPING_LAYERS, MAX_NUMBERS, MAX_WIDTH, SIZES
from .foreign.pickles import Record
from .stylegan import fingerprint, resolutions
from .stylegan1 import StyleGAN1, StyleGAN1Config
from .stylegan2 import Architecture, StyleGAN2, StyleGAN2Config

Network = StyleGAN1 | StyleGAN2
Config = StyleGAN1Config | StyleGAN2Config
FORMAT, VERSION = "duchenne-generator", "1"
MAX_BYTES = 4 << 30  # of a file; the largest known, a training state with optimisers, has 1.5 GB
MAX_HEADER = 1 << 20  # of a safetensors file
MEAN_DRAWS, MEAN_SEED = 10_000, 0  # where a file has no average w; as many as NVIDIA's projector
KNOWN = "an NVIDIA .pkl, rosinality .pt, GenForce/InterFaceGAN .pth or our own .safetensors"


def load_generator(path: str | Path, device: str | torch.device = "cpu") -> Network:
    """A pretrained StyleGAN 1 or 2 from a file, in evaluation mode, without gradients.

    device: "cpu" or "cuda". Raises WeightsError, with the reason, for a file that is not a
    generator that this library can run: another kind of file or network, conditional, truncated,
    damaged, incomplete, or one that asks to run code.
    """
    path = Path(path)
    try:
        config, tensors, promised = _read(path)
        network = _assemble(config, tensors)
    except WeightsError as error:
        raise WeightsError(f"{path}: {_one_line(str(error))}") from None
    if promised is not None and promised != network.fingerprint:
        raise WeightsError(
            f"{path}: damaged: the weights' fingerprint is {network.fingerprint}, "
            f"the file says {_one_line(promised)}; convert or copy it again"
        )
    return network.to(device)


def _one_line(text: str) -> str:
    """Names out of a file can be long and hold anything; a message must not."""
    printable = "".join(c if c.isprintable() else "?" for c in text[:400])
    return printable if len(text) <= 400 else printable + " ..."


def convert(path: str | Path, out: str | Path) -> Path:
    """Write a generator as the project's own safetensors: weights and configuration, no code.

    The file appears whole or not at all. Returns its path; raises WeightsError for the input and
    OutputError for the output.
    """
    network, out = load_generator(path), Path(out)
    metadata = {
        "format": FORMAT,
        "version": VERSION,
        "architecture": network.kind,
        "config": _config_text(network.config),
        "fingerprint": network.fingerprint,
    }
    content = save(network.state_dict(), metadata)
    codes.write_atomically(content, out)
    return out


def _read(path: Path) -> tuple[Config, dict[str, Tensor], str | None]:
    """Configuration, weights under our names, and the fingerprint that the file claims, if any."""
    try:
        if path.exists() and not path.is_file():
            raise WeightsError(f"not a file; expected {KNOWN}")
        with path.open("rb") as file:
            head = file.read(16)
            if not head:
                raise WeightsError(f"an empty file; expected {KNOWN}")
            own = _is_safetensors(head)
            if not own and not head.startswith((b"\x80", b"PK\x03\x04")):
                raise WeightsError(f"begins with {head!a}; expected {KNOWN}")
            if path.stat().st_size > MAX_BYTES:
                raise WeightsError(f"more than {MAX_BYTES >> 30} GB; expected {KNOWN}")
            # Mapped: what a file does not use of its size costs no memory.
            content = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
    except (OSError, ValueError) as error:  # ValueError: a null byte in the name, a file cut by now
        reason = getattr(error, "strerror", None) or error
        raise WeightsError(f"cannot be read: {reason}") from None
    if own:
        return _read_safetensors(memoryview(content))
    config, tensors = _recognise(read_archive(memoryview(content)))
    return config, tensors, None


def _assemble(config: Config, tensors: dict[str, Tensor]) -> Network:
    """The module with its weights; strict: every tensor has its place and every place a tensor."""
    with torch.device("meta"):  # shapes only: the file's own tensors become the weights
        network: Network = (
            StyleGAN2(config) if isinstance(config, StyleGAN2Config) else StyleGAN1(config)
        )
    missing_mean = "w_mean" not in tensors
    tensors.setdefault("w_mean", torch.zeros(network.w_dim))
    expected = network.state_dict()
    for name, like in expected.items():
        if name not in tensors:
            raise WeightsError(f"the tensor {name} is missing")
        if tensors[name].shape != like.shape:
            shape = list(tensors[name].shape)
            raise WeightsError(f"{name} has shape {shape}, expected {list(like.shape)}")
    if unknown := sorted(set(tensors) - set(expected)):
        raise WeightsError(f"{unknown[0]!a}: a tensor that its configuration has no place for")
    network.load_state_dict(tensors, strict=True, assign=True)
    network.requires_grad_(False).eval()
    if missing_mean:
        rng = torch.Generator().manual_seed(MEAN_SEED)
        draws = torch.randn(MEAN_DRAWS, network.z_dim, generator=rng)
        network.w_mean.copy_(network.mapping(draws).mean(dim=0))
    text = _config_text(config)
    network.fingerprint = fingerprint(network.kind, network.size, network.state_dict(), text)
    return network


def _config_text(config: Config) -> str:
    return json.dumps(asdict(config), sort_keys=True)


# Foreign formats


def _recognise(contents: Any) -> tuple[Config, dict[str, Tensor]]:
    """Which tool wrote this, by what is in it."""
    if isinstance(contents, Record):
        contents = {"G_ema": contents}
    if not isinstance(contents, dict):
        raise WeightsError(f"holds a {type(contents).__name__}; expected {KNOWN}")
    if isinstance(contents.get("G_ema"), Record):
        return stylegan2_layouts.nvidia(contents["G_ema"])
    if isinstance(contents.get("g_ema"), dict):
        mean = contents.get("latent_avg")
        if mean is not None and not isinstance(mean, StoredTensor):
            raise WeightsError("latent_avg: expected a tensor")
        return stylegan2_layouts.rosinality(_tensors(contents["g_ema"]), mean)
    models = contents.get("models")
    wrapper = models if isinstance(models, dict) else contents
    for name in ("generator_smooth", "generator"):  # the averaged weights first
        if isinstance(wrapper.get(name), dict):
            return _recognise_state(_tensors(wrapper[name]))
    return _recognise_state(_tensors(contents))


def _recognise_state(state: Mapping[str, StoredTensor]) -> tuple[Config, dict[str, Tensor]]:
    """A bare state dict, by its tensors' names."""
    if all(name.startswith("module.") for name in state):  # saved from a parallel wrapper
        state = {name.removeprefix("module."): tensor for name, tensor in state.items()}
    if "style.1.weight" in state:
        return stylegan2_layouts.rosinality(state, None)
    if "synthesis.early_layer.const" in state:
        return stylegan2_layouts.genforce2(state)
    for names in stylegan1_layouts.FORMATS:
        if names.marker in state:
            return stylegan1_layouts.stylegan1(state, names)
    some = ", ".join(ascii(name)[1:-1] for name in list(state)[:4])
    raise WeightsError(f"holds no StyleGAN generator (its tensors: {some} ...); expected {KNOWN}")


def _tensors(entries: Mapping[Any, Any]) -> dict[str, StoredTensor]:
    """A state dict: names and tensors, nothing else."""
    for name, value in entries.items():
        if not isinstance(name, str) or not isinstance(value, StoredTensor):
            some = ", ".join(ascii(key) for key in list(entries)[:6])
            raise WeightsError(f"holds no generator (its entries: {some}); expected {KNOWN}")
    if not entries:
        raise WeightsError(f"holds nothing; expected {KNOWN}")
    return dict(entries)


# The project's own format


def _is_safetensors(head: bytes) -> bool:
    """Eight bytes of header length, then JSON."""
    return head[8:9] == b"{" and 0 < int.from_bytes(head[:8], "little") < MAX_HEADER


def _read_safetensors(content: memoryview) -> tuple[Config, dict[str, Tensor], str | None]:
    length = int.from_bytes(content[:8], "little")
    try:
        header = texts.parse_json(bytes(content[8 : 8 + length]), "its header")
    except InputError as error:
        raise WeightsError(f"damaged or truncated safetensors: {error}") from None
    metadata = header.get("__metadata__")
    if not isinstance(metadata, dict) or metadata.get("format") != FORMAT:
        raise WeightsError(
            "safetensors of another program; expected what `duchenne generator convert` writes"
        )
    if metadata.get("version") != VERSION:
        version = metadata.get("version")
        raise WeightsError(
            f"format version {quoted(version, bare=True)}, this program reads {VERSION}; convert "
            "the original anew: duchenne generator convert ORIGINAL -o NEW.safetensors"
        )
    config = _read_config(metadata.get("architecture"), metadata.get("config", ""))
    if len(content) > 4 * MAX_NUMBERS + MAX_HEADER:
        raise WeightsError(f"more than {MAX_NUMBERS} numbers: no generator")
    try:
        tensors = load(bytes(content))
    except (SafetensorError, ValueError, KeyError) as error:
        raise WeightsError(f"damaged or truncated safetensors: {error}") from None
    for name, tensor in tensors.items():
        if tensor.dtype != torch.float32:
            raise WeightsError(f"{name!a}: expected float32, found {tensor.dtype}")
    return config, tensors, metadata.get("fingerprint", "")


def _read_config(architecture: str | None, text: str) -> Config:
    """The configuration in the file's metadata, checked."""
    try:
        fields = texts.parse_json(text, "its configuration")
        size, channels, mapping = fields["size"], fields["channels"], fields["mapping"]
    except (InputError, KeyError, TypeError):
        raise WeightsError("its configuration cannot be read") from None
    widths = isinstance(channels, list) and isinstance(mapping, list)
    if not widths or not all(type(n) is int and 0 < n <= MAX_WIDTH for n in [*channels, *mapping]):
        raise WeightsError("its configuration has impossible widths")
    if type(size) is not int or size not in SIZES or len(channels) != len(resolutions(size)):
        raise WeightsError("its configuration has an impossible size")
    if not 2 <= len(mapping) <= MAX_MAPPING_LAYERS + 1:
        raise WeightsError("its configuration has an impossible mapping network")
    rest = {name: fields[name] for name in fields if name not in ("size", "channels", "mapping")}
    if architecture == StyleGAN1.kind and set(rest) == {"fused_from"}:
        if type(rest["fused_from"]) is int and 0 <= rest["fused_from"] <= 2 * SIZES[-1]:
            return StyleGAN1Config(size, tuple(channels), tuple(mapping), **rest)
    elif architecture == StyleGAN2.kind and set(rest) == {"architecture", "clamp", "noise"}:
        clamp = rest["clamp"]
        bounded = clamp is None or (type(clamp) is float and 0 < clamp < math.inf)
        known = rest["architecture"] in get_args(Architecture) and type(rest["noise"]) is bool
        if known and bounded:
            return StyleGAN2Config(size, tuple(channels), tuple(mapping), **rest)
    raise WeightsError(f"its configuration does not fit the architecture {architecture!a}")
