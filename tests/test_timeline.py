"""D of Eq. 5: values by hand, exact times, files with mistakes."""

import time
from fractions import Fraction

import numpy as np
import pytest
from refusal import refusal

from duchenne import facs
from duchenne.errors import DescriptorError, DuchenneError, InputError
from duchenne.motion import timeline
from duchenne.motion.easing import EASINGS
from duchenne.motion.keyframes import from_keyframes
from duchenne.motion.timeline import Timeline, frame_rate, from_descriptor, onset_apex_offset

SMILE = {"AU6": 0.5, "AU12": 1.0}
AU6, AU12 = facs.INDEX["AU6"], facs.INDEX["AU12"]


# ---------------------------------------------------------------- rates, D, easing


@pytest.mark.parametrize(
    ("fps", "exact"),
    [
        (24, Fraction(24)),
        (12.5, Fraction(25, 2)),
        ("25", Fraction(25)),
        (23.976, Fraction(24000, 1001)),
        ("23.98", Fraction(24000, 1001)),
        (29.97, Fraction(30000, 1001)),
        (59.94, Fraction(60000, 1001)),
        ("30000/1001", Fraction(30000, 1001)),
        (0.1, Fraction(1, 10)),
    ],
)
def test_frame_rate(fps, exact):
    assert frame_rate(fps) == exact


@pytest.mark.parametrize("fps", [0, -24, 241, 1e-9, float("nan"), float("inf"), "x", "1/0"])
def test_bad_frame_rate(fps):
    with pytest.raises(InputError, match="frame rate"):
        frame_rate(fps)


def test_linear_is_the_papers():
    assert timeline.linear(5).tolist() == [0, 0.25, 0.5, 0.75, 1]
    assert timeline.linear(5).dtype == np.float64
    assert timeline.linear(1).tolist() == [1.0]
    assert timeline.linear(2).tolist() == [0.0, 1.0]
    for frames in (0, -1, 10**9):
        with pytest.raises(InputError, match="frames"):
            timeline.linear(frames)


@pytest.mark.parametrize("name", list(EASINGS))
def test_easings_rise_from_0_to_1(name):
    curve = timeline.coefficients(101, name)
    assert curve[0] == 0
    assert curve[-1] == 1
    assert (np.diff(curve) >= 0).all()


def test_easings_have_their_character():
    fine = {name: timeline.coefficients(1001, name) for name in EASINGS}
    speed = {name: np.gradient(curve) * 1000 for name, curve in fine.items()}
    assert speed["smooth"][0] == pytest.approx(0, abs=0.01)
    assert speed["smooth"][-1] == pytest.approx(0, abs=0.01)
    assert fine["smooth"][500] == pytest.approx(0.5)
    assert speed["ease-in"][0] < 0.01 < speed["ease-out"][0]
    assert speed["natural"][0] == pytest.approx(0, abs=0.01)
    assert speed["natural"][-1] == pytest.approx(0, abs=0.01)
    assert 200 < speed["natural"].argmax() < 300
    assert fine["hold"][:-1].max() == 0


def test_unknown_easing():
    with pytest.raises(InputError, match="unknown easing 'bouncy'; known are linear"):
        timeline.coefficients(5, "bouncy")


# ---------------------------------------------------------------- the type


def test_from_descriptor_is_the_outer_product():
    line = from_descriptor(SMILE, frames=5, fps=10)
    assert line.intensities[:, AU12].tolist() == [0, 0.25, 0.5, 0.75, 1]
    assert line.intensities[:, AU6].tolist() == [0, 0.125, 0.25, 0.375, 0.5]
    assert line.intensities.sum() == pytest.approx(2.5 * 1.5)
    assert line.times.tolist() == [0, 0.1, 0.2, 0.3, 0.4]
    assert line.duration == Fraction(1, 2)
    assert line.descriptor(4) == SMILE
    assert line.descriptor(0) == {}
    assert len(from_descriptor(SMILE)) == 24


def test_a_timeline_cannot_be_changed():
    values = np.zeros((3, len(facs.CODES)))
    line = Timeline(values, Fraction(24))
    values[:] = 1
    assert line.intensities.max() == 0
    with pytest.raises(ValueError, match="read-only"):
        line.intensities[0, 0] = 1
    with pytest.raises(AttributeError):
        line.fps = Fraction(1)


@pytest.mark.parametrize("value", [-1.6, 1.31, np.nan, np.inf])
def test_intensities_are_checked(value):
    values = np.zeros((3, len(facs.CODES)))
    values[1, AU12] = value
    with pytest.raises(DescriptorError, match="frame 2: AU12="):
        Timeline(values, Fraction(24))


def test_bad_shapes_are_programming_errors():
    for shape in ((3, 11), (len(facs.CODES),), (0, len(facs.CODES))):
        with pytest.raises(AssertionError):
            Timeline(np.zeros(shape), Fraction(24))


def test_bad_descriptors():
    with pytest.raises(DescriptorError):
        from_descriptor({"AU12": 1.5})
    with pytest.raises(DescriptorError):
        onset_apex_offset({"AU99": 1.0})


def test_times_stay_exact_for_hours():
    line = Timeline(np.zeros((100_000, len(facs.CODES))), frame_rate(23.976))
    assert line.times[-1] == 99_999 * 1001 / 24000
    assert float(line.duration) == 100_000 * 1001 / 24000


@pytest.mark.parametrize(
    ("fps", "count"), [(24, 24), (48, 48), (23.976, 24), (12, 12), (25, 25), (0.5, 1), (240, 240)]
)
def test_resample_keeps_the_duration(fps, count):
    line = from_descriptor(SMILE, 24, 24).resample(fps)
    assert len(line) == count
    assert abs(line.duration - 1) <= Fraction(1, 2) / line.fps
    assert line.intensities[0].max() == 0


def test_resample_values():
    line = from_descriptor(SMILE, 3, 10).resample(20)
    assert line.intensities[:, AU12] == pytest.approx([0, 0.25, 0.5, 0.75, 1, 1])
    same = from_descriptor(SMILE, 7, 24)
    assert (same.resample(24).intensities == same.intensities).all()


def test_loop_ping_pong_hold():
    line = from_descriptor({"AU12": 1.0}, 3, 10)
    assert line.loop(2).intensities[:, AU12].tolist() == [0, 0.5, 1, 0, 0.5, 1]
    assert line.ping_pong().intensities[:, AU12].tolist() == [0, 0.5, 1, 0.5]
    assert len(from_descriptor(SMILE, 1).ping_pong()) == 1
    assert len(from_descriptor(SMILE, 2).ping_pong()) == 2
    assert line.hold(0.25).intensities[:, AU12].tolist() == [0, 0.5, 1, 1, 1, 1]
    assert len(line.hold(0)) == 3
    for n in (0, -1, 10**9):
        with pytest.raises(InputError, match="repeats"):
            line.loop(n)
    for wrong in (-1, float("nan"), 1e9):
        with pytest.raises(InputError, match="hold"):
            line.hold(wrong)


def test_onset_apex_offset():
    line = onset_apex_offset(
        SMILE, 0.4, 0.2, 0.4, neutral=0.2, fps=10, onset_easing="linear", offset_easing="linear"
    )
    level = line.intensities[:, AU12]
    assert level == pytest.approx([0, 0, 0, 0.25, 0.5, 0.75, 1, 1, 1, 0.75, 0.5, 0.25, 0])
    assert line.intensities[:, AU6] == pytest.approx(level / 2)
    default = onset_apex_offset(SMILE)
    assert len(default) == 2.25 * 24 + 1
    assert default.intensities[0].max() == 0
    assert default.intensities[-1].max() == 0
    assert default.intensities[12:37, AU12].tolist() == [1.0] * 25
    assert onset_apex_offset(SMILE, 0, 0, 0).intensities[:, AU12].tolist() == [0]
    assert onset_apex_offset(SMILE, 0.1, 0, 0.1, fps=23.976).intensities[-1].max() == 0
    with pytest.raises(InputError, match="apex"):
        onset_apex_offset(SMILE, apex=-1)


# ---------------------------------------------------------------- keyframes


def written(tmp_path, text, name="keys.toml"):
    path = tmp_path / name
    path.write_text(text)
    return path


def test_toml(tmp_path):
    path = written(
        tmp_path,
        """
fps = 10
AU12 = [[0.0, 0.0], [0.4, 1.0, "ease-in"], [0.6, 1.0], [0.8, 0.0]]
6 = [[0.2, 0.5], [0.3, 0.1, "hold"]]
""",
    )
    line = from_keyframes(path)
    assert line.fps == 10
    expected = [0, 1 / 16, 1 / 4, 9 / 16, 1, 1, 1, 0.5, 0]
    assert line.intensities[:, AU12] == pytest.approx(expected)
    assert line.intensities[:, AU6] == pytest.approx([0.5, 0.5, 0.5] + [0.1] * 6)
    assert line.intensities[:, 0].max() == 0
    assert from_keyframes(path, fps=20).fps == 20
    assert len(from_keyframes(path, fps=20)) == 17


def test_csv_says_the_same_as_toml(tmp_path):
    table = written(
        tmp_path,
        "au, time, value, easing\nAU12,0,0,\nAU6,0.1,0.5\n\nAU12,0.5,1,smooth\nAU12,1,0,linear\n",
        "keys.csv",
    )
    text = written(
        tmp_path, 'AU12 = [[0, 0], [0.5, 1, "smooth"], [1, 0]]\nAU6 = [[0.1, 0.5]]\nfps = "23.976"'
    )
    one, two = from_keyframes(table, 23.976), from_keyframes(text)
    assert (one.intensities == two.intensities).all()
    assert one.fps == two.fps
    assert one.intensities[-1, AU12] == 0  # a frame at or after the last key
    assert one.times[-1] >= 1


@pytest.mark.parametrize(
    "content",
    [
        "au;time;value\nAU12;0;0\nAU12;0,5;0,8\n".encode("utf-16"),
        b"AU,Time,Value\nAU12,0,0\nAU12,0.5,0.8\n",
        b'value, "time", au\n0,0,AU12\n0.8,0.5,AU12\n',
    ],
)
def test_keys_from_a_spreadsheet(tmp_path, content):
    path = tmp_path / "keys.csv"
    path.write_bytes(content)
    line = from_keyframes(path, fps=10)
    assert line.intensities[:, AU12] == pytest.approx([0, 0.16, 0.32, 0.48, 0.64, 0.8])


def test_default_easing_of_a_file(tmp_path):
    path = written(tmp_path, 'easing = "hold"\nfps = 10\nAU12 = [[0, 0], [0.2, 1]]\n')
    assert from_keyframes(path).intensities[:, AU12].tolist() == [0, 0, 1]


@pytest.mark.parametrize(
    ("text", "kind", "words"),
    [
        ("", InputError, "holds no keys"),
        ("AU12 = ]", InputError, "line 1"),
        ("fps = 0\nAU12 = [[0, 1]]", InputError, "frame rate 0"),
        ("fps = [1]\nAU12 = [[0, 1]]", InputError, "fps = [1]"),
        ("\nAU12 = 3", InputError, "line 2: AU12: expected a list"),
        ("\nAU12 = []", InputError, "line 2: AU12: expected a list"),
        ("\n\n[AU12]\nx = 1", InputError, "line 3: AU12: expected a list"),
        ("AU12 = [[0]]", InputError, "line 1: AU12 key 1: expected [time, value]"),
        ("AU12 = [0, 1]", InputError, "line 1: AU12 key 1: expected [time, value]"),
        ('AU12 = [["a", 1]]', InputError, "must be numbers"),
        ("AU12 = [[0, true]]", InputError, "must be numbers"),
        ("AU12 = [[0, 0], [0, 1]]", InputError, "key 2: time 0 s must come after 0 s"),
        ("AU12 = [[-1, 0]]", InputError, "key 1: time of -1"),
        ("AU12 = [[nan, 0]]", InputError, "key 1: time of nan"),
        ("AU12 = [[1e9, 0]]", InputError, "key 1: time of 1000000000"),
        ('AU12 = [[0, 0, "bouncy"]]', InputError, "key 1: unknown easing 'bouncy'"),
        ("AU12 = [[0, 0, 7]]", InputError, "key 1: unknown easing 7"),
        ("fps = 240\nAU12 = [[86400, 0]]", InputError, "too many"),
        ("\nAU99 = [[0, 0]]", DescriptorError, "line 2: AU99 key 1: unknown Action Unit"),
        ("AU12 = [[0, 1.5]]", DescriptorError, "AU12=1.5"),
        ("AU12 = [[0, nan]]", DescriptorError, "AU12=nan"),
        ("smile = [[0, 1]]", DescriptorError, "unknown Action Unit 'smile'"),
    ],
)
def test_bad_toml(tmp_path, text, kind, words):
    refused(written(tmp_path, text), kind, words)


def refused(path, kind, words):
    message = refusal(kind, from_keyframes, path)
    assert message.startswith(str(path))
    assert words in message


@pytest.mark.parametrize(
    ("text", "kind", "words"),
    [
        ("", InputError, "line 1: expected the columns"),
        ("a,b\n1,2\n", InputError, "line 1: expected the columns"),
        ("au,time,value\n", InputError, "holds no keys"),
        (
            "au,time,value\nAU12,0\n",
            InputError,
            "line 2: expected an Action Unit, a time",
        ),
        ("au,time,value\nAU12,0,x\n", InputError, "line 2: time '0' and value 'x'"),
        ("au,time,value\nAU12,1,0\nAU6,0,0\nAU12,0.5,1\n", InputError, "line 4: time 0.5 s"),
        ("au,time,value,easing\nAU12,0,0,fast\n", InputError, "line 2: unknown easing 'fast'"),
        ("au,time,value\nAU3,0,0\n", DescriptorError, "line 2: unknown Action Unit 'AU3'"),
        ("au,time,value\nAU12,0,2\n", DescriptorError, "line 2: AU12=2"),
    ],
)
def test_bad_csv(tmp_path, text, kind, words):
    refused(written(tmp_path, text, "keys.csv"), kind, words)


def test_unreadable_keyframes(tmp_path):
    with pytest.raises(InputError, match="no such file"):
        from_keyframes(tmp_path / "none.toml")
    with pytest.raises(InputError, match="directory"):
        from_keyframes(tmp_path)
    (tmp_path / "b.toml").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(InputError, match="not a text file"):
        from_keyframes(tmp_path / "b.toml")
    with pytest.raises(InputError, match=r"\.toml or \.csv"):
        from_keyframes(written(tmp_path, "x", "a.txt"))


# ---------------------------------------------------------------- sides


def test_curves_tell_sides_apart() -> None:
    line = timeline.from_descriptor({"AU12L": 0.8, "AU17": 0.2}, frames=3)
    curves = {name: values.tolist() for name, values in line.curves().items() if values.any()}
    assert curves == {"AU17": [0, 0.1, 0.2], "AU12L": [0, 0.4, 0.8]}


def test_a_side_is_kept_through_every_change() -> None:
    contempt = timeline.from_descriptor({"AU12L": 0.8, "AU17": 0.2}, frames=5)
    lips, chin = facs.INDEX["AU12"], facs.INDEX["AU17"]
    np.testing.assert_allclose(contempt.sides[-1, lips], [0.8, 0.0])
    np.testing.assert_allclose(contempt.sides[-1, chin], [0.2, 0.2])
    np.testing.assert_allclose(contempt.intensities[-1, lips], 0.4)  # one side counts half
    assert contempt.descriptor(4) == pytest.approx({"AU12L": 0.8, "AU17": 0.2})
    for changed in (contempt.loop(2), contempt.hold(0.5), contempt.resample(48)):
        np.testing.assert_allclose(changed.sides[-1, lips], [0.8, 0.0])
        assert len(changed.sides) == len(changed)
    back = contempt.ping_pong()
    np.testing.assert_allclose(back.sides[5], contempt.sides[3])


def test_a_table_has_sides_where_they_differ() -> None:
    both = timeline.from_descriptor({"AU12L": 0.6, "AU12R": 0.6}, frames=3)
    whole = timeline.from_descriptor({"AU12": 0.6}, frames=3)
    assert both.sides.tobytes() == whole.sides.tobytes()
    assert tuple(whole.table()) == facs.CODES
    less = timeline.from_descriptor({"AU12L": -0.6, "AU4": 1.0}, frames=3)
    assert tuple(less.table()) == (*facs.CODES, "AU12L", "AU12R")
    np.testing.assert_allclose(less.table()["AU12"], [0, -0.15, -0.3])
    np.testing.assert_allclose(less.table()["AU12L"], [0, -0.3, -0.6])
    assert less.apex == less.hold(1).ping_pong().apex == 2


@pytest.mark.parametrize("kind", ["keys.toml", "keys.csv"])
def test_keys_of_one_side(tmp_path, kind) -> None:
    text = "AU12L = [[0, 0], [1, 1]]\nAU12R = [[0, 0.5]]\n6 = [[0, 0.2]]\n"
    rows = "au,time,value\nAU12L,0,0\nau12r,0,0.5\nAU12L,1,1\nAU6,0,0.2\n"
    line = from_keyframes(written(tmp_path, text if kind == "keys.toml" else rows, kind), fps=2)
    np.testing.assert_allclose(line.sides[:, AU12], [[0, 0.5], [0.5, 0.5], [1, 0.5]])
    assert line.descriptor(2) == {"AU6": 0.2, "AU12L": 1.0, "AU12R": 0.5}


def test_a_side_out_of_range_is_named() -> None:
    values = np.zeros((2, len(facs.CODES), 2))
    values[1, facs.INDEX["AU12"], 1] = 1.5
    with pytest.raises(DescriptorError, match=r"frame 2: AU12R=1\.5"):
        timeline.Timeline(values, Fraction(24))


def test_a_continuum_goes_from_one_face_to_another():
    line = timeline.from_descriptor({"AU4": 1.0}, frames=5, start={"AU12": 0.8, "AU4": 0.2})
    assert line.descriptor(0) == pytest.approx({"AU12": 0.8, "AU4": 0.2})
    assert line.descriptor(2) == pytest.approx({"AU12": 0.4, "AU4": 0.6})
    assert line.descriptor(4) == pytest.approx({"AU4": 1.0})


@pytest.mark.parametrize("longer", ["ping_pong", "loop", "hold", "resample"])
def test_nothing_is_made_that_is_too_long(longer):
    timeline = from_descriptor({"AU12": 1}, frames=200_000, fps=24)
    ways = {
        "ping_pong": timeline.ping_pong,
        "loop": lambda: timeline.loop(2),
        "hold": lambda: timeline.hold(86_400),
        "resample": lambda: timeline.resample(240),
    }
    with pytest.raises(InputError, match="frames are too many; at most 250000"):
        ways[longer]()


@pytest.mark.parametrize(
    "text",
    ["AU12 = [[0, 0]]\nau12 = [[1, 1]]", "AU12 = [[0, 0]]\n12 = [[1, 1]]",
     "AU12 = [[0, 0]]\nAU12L = [[1, 1]]", "AU43L = [[0, 0]]\nAU46L = [[1, 1]]"],
)  # fmt: skip
def test_one_unit_has_one_list(tmp_path, text):
    with pytest.raises(DuchenneError, match=r"line 2.*(same Action Unit|whole and by its sides)"):
        from_keyframes(written(tmp_path, text))


def test_many_keys_are_read_in_seconds_and_too_many_refused(tmp_path):
    rows = [f"AU12,{i / 1000},{i % 2}\n" for i in range(20_001)]
    path = written(tmp_path, "au,time,value\n" + "".join(rows[:-1]), "keys.csv")
    begun = time.perf_counter()
    timeline = from_keyframes(path, fps=100)
    assert time.perf_counter() - begun < 10
    assert timeline.intensities[:, facs.INDEX["AU12"]].max() <= 1
    path.write_text("au,time,value\n" + "".join(rows))
    with pytest.raises(InputError, match="more than 20000 keys"):
        from_keyframes(path)
