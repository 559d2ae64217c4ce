"""What every section of the configuration is made of."""

from __future__ import annotations

from typing import Annotated

from pydantic import BaseModel, BeforeValidator, ConfigDict


def no_truth(value: object) -> object:
    """Python counts true as 1; an installer who wrote it meant something else."""
    if isinstance(value, bool):
        raise ValueError("is true or false; a whole number is right")  # noqa: TRY004 - pydantic collects ValueError only
    return value


Whole = Annotated[int, BeforeValidator(no_truth)]


class Section(BaseModel):
    """Frozen, and every unknown key is an error."""

    model_config = ConfigDict(frozen=True, extra="forbid", validate_default=True)
