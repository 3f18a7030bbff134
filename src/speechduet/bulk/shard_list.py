"""Which recordings the shards of an output hold: those of one list, whose digest is kept."""

import re
from collections.abc import Callable, Iterator
from hashlib import blake2b
from typing import NamedTuple

from speechduet.bulk.ledger import write_whole
from speechduet.bulk.places import asking, filesystem, joined
from speechduet.bulk.rows import LEDGER, Row
from speechduet.errors import SettingError

_DIGEST = "shards.digest"
_REPLACING = "all are being made anew"
"""In place of the digest, while shards of an older list may be there."""


class Sharding(NamedTuple):
    """How results are put together: ``tar`` or ``parquet`` files of so many recordings."""

    kind: str
    recordings: int

    def name(self, number: int) -> str:
        """The name of a shard."""
        return f"shard-{number:06d}.{self.kind}"


class ShardList(NamedTuple):
    """What is noted of the shards in an output."""

    place: str
    digest: str
    replaced: bool
    """Whether shards of an earlier run may lie beyond the last."""


def begin_shards(
    rows: Callable[[], Iterator[Row]], output: str, sharding: Sharding, overwrite: bool
) -> ShardList:
    """Note what the shards are to hold, which follows from the whole list.

    Raises SettingError if an earlier run has put other recordings into them, or else so, and they
    are not to be overwritten.
    """
    digest = blake2b(f"{sharding.kind} {sharding.recordings}".encode(), digest_size=16)
    for row in rows():
        digest.update(f"\n{row.output}".encode(errors="surrogatepass"))
    place, made_of = joined(joined(output, LEDGER), _DIGEST), digest.hexdigest()
    files, name = filesystem(place)
    with asking("read", place):
        before = files.cat_file(name).decode(errors="replace") if files.exists(name) else None
    differs = before not in (None, made_of)
    if differs and not overwrite:
        raise SettingError(
            f"the shards in {output} are of another list of recordings, or of another size"
            if before != _REPLACING
            else f"some shards in {output} are old: an --overwrite of them was interrupted",
            "the same input with the same --shards and --shard-size",
            "give another output, or --overwrite to make all of them anew",
        )
    write_whole(place, (_REPLACING if differs else made_of).encode())
    return ShardList(place, made_of, overwrite and before is not None)


def end_shards(shards: ShardList, output: str, sharding: Sharding, number: int) -> None:
    """Remove what an earlier run has left beyond the last of so many shards.

    Raises FileError or SettingError.
    """
    if not shards.replaced:
        return
    files, root = filesystem(output)
    with asking("remove old shards in", output):
        for found in files.ls(root, detail=False):
            named = re.fullmatch(r"shard-(\d{6,})\.(\w+)", found.rpartition("/")[2])
            if named and named[2] == sharding.kind and int(named[1]) >= number:
                files.rm_file(found)
    write_whole(shards.place, shards.digest.encode())
