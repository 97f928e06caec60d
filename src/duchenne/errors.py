"""Everything that can go wrong for a user, in one tree.

    DuchenneError                 exit code
    ├── InputError                 3   the photo, video or table cannot be used
    │   └── NoFaceFound            4   a readable picture without a usable face
    ├── DescriptorError            5   unknown Action Unit, intensity out of range
    ├── OutputError                6   the result cannot be written
    ├── WeightsError               7   a model file is missing, damaged or unreachable
    └── SpaceMismatch              8   a code or boundary of another generator

(2 is the command line's own code for wrong usage.) A message says what was expected, what came and
what to do. The command line prints it as one line and exits with the code; a program catches
`DuchenneError` or the leaf it cares about.
"""


class DuchenneError(Exception):
    """Base of every error a user can cause or mend."""

    exit_code = 1


class InputError(DuchenneError):
    """A file that was given cannot be read as what it should be."""

    exit_code = 3


class NoFaceFound(InputError):
    """The picture was read, but it holds no face that can be used."""

    exit_code = 4


class DescriptorError(DuchenneError):
    """An expression descriptor that FACS or the library does not know."""

    exit_code = 5


class OutputError(DuchenneError):
    """The result cannot be written where it was asked for."""

    exit_code = 6


class WeightsError(DuchenneError):
    """A model file is missing, does not match its hash, or cannot be fetched."""

    exit_code = 7


class SpaceMismatch(DuchenneError):
    """Latent codes and boundaries of different generators were mixed."""

    exit_code = 8
