"""What inputs have in common that read in blocks."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Generator, Iterator
from typing import ClassVar

from synapse_flow.chunks import Chunk, ChunkSizes, Decoder
from synapse_flow.entries import EntryTypedDict
from synapse_flow.inputs.base import BaseInputAdapter, Block, Start

__all__ = ["BlockInputAdapter"]

_ROWS = 1000


class BlockInputAdapter(BaseInputAdapter):
    """Base of inputs that read in blocks, as a run takes them; one by one, records are taken from the same blocks."""

    waits: ClassVar[bool] = False

    @property
    def generator(self) -> Iterator[EntryTypedDict]:
        """The records, one by one."""
        count = 0
        decoder = self.decoder()
        sizes = ChunkSizes(_ROWS, most=_ROWS, fixed=True)
        for block in self.blocks(sizes, Start()):
            positions = iter(block.positions or range(count, count + block.count))
            for part in decoder.decode(Chunk(0, count, block.count, block.payload, block.line)):
                for raw in part.raws:
                    yield {"raw_data": raw, "position": next(positions)}
            count += block.count

    @abstractmethod
    def decoder(self) -> Decoder:
        """Return what makes records of the payloads of `blocks`, on workers."""

    @abstractmethod
    def blocks(self, sizes: ChunkSizes, start: Start) -> Generator[Block]:
        """Yield the records in blocks, at most ``sizes.rows`` in each."""
