"""All profiles that can be named: the installer's folder first, then the ones that came with us."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from drivers.errors import ProfileError, UnknownProfileError
from drivers.profile_file import load_profile

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from drivers.profile import Profile

SHIPPED = Path(__file__).parent / "models"


class Catalogue:
    """Profiles by name.

    A name may stand in the installer's folder and in ours: his wins, since he has the meter before him. Two
    files of the same folder with one name are a mistake, since nobody could tell which is read.
    """

    def __init__(self, own_folders: Sequence[Path] = ()) -> None:
        """Load every profile.

        Args:
            own_folders: the installer's folders, the most important first. One that is missing is empty.

        Raises:
            ProfileError: a file has mistakes, or a folder has a name twice.
        """
        self._profiles: dict[str, Profile] = {}
        for folder in (*own_folders, SHIPPED):
            for name, profile in _folder(folder).items():
                self._profiles.setdefault(name, profile)

    def __iter__(self) -> Iterator[Profile]:
        return iter(sorted(self._profiles.values(), key=lambda profile: profile.id))

    def profile(self, name: str) -> Profile:
        """The profile of that name.

        Raises:
            UnknownProfileError: there is none; the message lists those there are.
        """
        found = self._profiles.get(name)
        if found is None:
            raise UnknownProfileError(
                f"there is no meter profile {name!r}; known are {', '.join(sorted(self._profiles))}"
            )
        return found


def _folder(folder: Path) -> dict[str, Profile]:
    found: dict[str, Profile] = {}
    for path in sorted(folder.glob("*.toml")):
        profile = load_profile(path)
        twin = found.setdefault(profile.id, profile)
        if twin is not profile:
            raise ProfileError(path, (f"id: {profile.id!r} is already the name of {twin.path}",))
    return found
