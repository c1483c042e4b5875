"""What an action asks of the machine that runs it."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field

__all__ = ["Resources"]


class Resources(BaseModel):
    """CPUs, GPUs and memory of one execution; ``None`` leaves the choice to the backend.

    Attributes:
        num_cpus: CPU cores, fractions allowed.
        num_gpus: GPUs, fractions allowed.
        memory: Bytes.
    """

    model_config = ConfigDict(frozen=True, extra="allow")

    num_cpus: float | None = Field(default=None, ge=0)
    num_gpus: float | None = Field(default=None, ge=0)
    memory: int | None = Field(default=None, ge=0)
