"""Compressed recordings read whole: a chain of Ogg link by link, and whether the end is there."""

from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

import soundfile as sf

from speechduet.audio import sndfile_reading
from speechduet.audio.byte_view import ByteView
from speechduet.audio.conforming import Conformer
from speechduet.audio.declared_size import is_fragmented, missing_bytes
from speechduet.audio.ffmpeg_reading import (
    Account,
    is_seamless,
    opened,
    remarks,
    sound_of,
    track_of,
)
from speechduet.audio.flac import joined_in
from speechduet.audio.formats import AudioFormat, Samples
from speechduet.audio.loudspeakers import as_heard
from speechduet.audio.mp3 import stated_of, without_inner_tags
from speechduet.audio.notices import Notify
from speechduet.audio.ogg import Chain, chain_of, is_ogg
from speechduet.audio.stated_length import TOLERATED_S, promise_of, truncated
from speechduet.errors import AudioError

_BLOCK = 1 << 16
_GUESSED_S = 1.0
"""By how much the guess of what damaged bytes of MP3 held may be off."""


def compressed_blocks(
    path: Path, audio_format: AudioFormat, track: int | None, salvage: bool, notify: Notify
) -> Iterator[Samples]:
    """The samples of a track ``[samples, channels]`` at the rate of its format.

    Raises AudioError if the file is truncated and not to be salvaged.
    """
    conformer = Conformer(path, audio_format.sample_rate, audio_format.channels)
    with path.open("rb") as file:
        if is_ogg(file):
            chain = chain_of(file)
            yield from _linked(path, file, chain, conformer, track, salvage, notify)
            return
        if audio_format.container == "FLAC":
            yield from _flac(path, file, conformer, salvage, notify)
            return
        account = Account()
        with opened(path, _mended(path, file, audio_format, notify)) as container:
            stream = track_of(path, container, track)
            _tell_tracks(path, len(container.streams.audio), track, notify)
            yield from sound_of(container, stream, conformer, account)
        yield from conformer.flush()
        promised_s = account.promised_s
        if audio_format.container == "MP3":
            promised_s = _promised_by_mp3(file, account)
        missing = missing_bytes(file)
        if missing and is_fragmented(file):
            promised_s = None
        _check_whole(path, account.found_s, promised_s, missing, salvage, notify)
        for line in remarks(account):
            notify(f"{path} {line}")


def _promised_by_mp3(file: BinaryIO, account: Account) -> float | None:
    """The length by its first frame, where what is missing is not what was damaged."""
    stated = stated_of(file)
    if stated is None:
        return None
    if any(at_s < account.found_s for at_s in account.lost):
        # How much sound damaged bytes held can only be guessed.
        short_s = stated.duration_s - account.found_s - _GUESSED_S
        if (short_s if stated.lacking_s is None else stated.lacking_s) < TOLERATED_S:
            return None
    return stated.duration_s


def _flac(
    path: Path, file: BinaryIO, conformer: Conformer, salvage: bool, notify: Notify
) -> Iterator[Samples]:
    """The recordings of FLAC in a file, one behind the other; mostly it is one."""
    joined = joined_in(file)
    if len(joined) > 1:
        notify(f"{path} holds {len(joined)} recordings joined end to end; they are read as one")
    accounts = [Account() for _ in joined]

    def sound(part: tuple[int, int], account: Account) -> Iterator[Samples]:
        view = ByteView(file, [part]) if len(joined) > 1 else None
        with opened(path, view) as container:
            yield from sound_of(container, track_of(path, container, None), conformer, account)

    parts = zip(accounts, map(sound, joined, accounts), strict=True)
    yield from _in_turn(path, list(parts), conformer, notify)
    for account in accounts:
        _check_whole(path, account.found_s, account.promised_s, None, salvage, notify)
        if account.kind is not None:
            _check_count(path, account, account.kind[0], notify)
    _remark(path, accounts, notify)


def _check_count(path: Path, account: Account, sample_rate: int, notify: Notify) -> None:
    """Notify of a header that states no length, or another than there is."""
    found, promised = (round((s or 0) * sample_rate) for s in (account.found_s, account.promised_s))
    if not promised:
        notify(f"{path} states no length in its header; it is read to its end")
    elif found != promised:
        notify(
            f"{path} holds {found} samples where its header promises {promised}; "
            "all that are there are read"
        )


def _linked(
    path: Path,
    file: BinaryIO,
    chain: Chain,
    conformer: Conformer,
    track: int | None,
    salvage: bool,
    notify: Notify,
) -> Iterator[Samples]:
    """The recordings of a chain of Ogg, one behind the other."""
    parts: list[tuple[Account, Iterator[Samples]]] = []
    for link in chain.links:
        account = Account(lost_pages=link.lost_pages > 0)
        view = ByteView(file, list(link.pages))
        blocks = _link(path, view, conformer, account, track, _silent if parts else notify)
        parts.append((account, blocks))
    yield from _in_turn(path, parts, conformer, notify)
    accounts = [account for account, _ in parts]
    _remark(path, accounts, notify)
    found_s = sum(account.found_s for account in accounts)
    _check_chain(path, chain, found_s, salvage, notify)


def _in_turn(
    path: Path,
    parts: list[tuple[Account, Iterator[Samples]]],
    conformer: Conformer,
    notify: Notify,
) -> Iterator[Samples]:
    """The sound of each recording in a file; one of several that cannot be read is passed over."""
    first = None
    for number, (account, blocks) in enumerate(parts, 1):
        try:
            yield from blocks
        except AudioError as error:
            if len(parts) == 1:
                raise
            notify(f"part {number} of {len(parts)} is passed over: {error}")
        yield from conformer.flush()
        if first not in (None, account.kind) and account.kind is not None:
            account.changes.insert(0, account.kind)
        first = first or account.kind


def _remark(path: Path, accounts: list[Account], notify: Notify) -> None:
    """Notify of what was odd in the recordings of a file, at its place in the file."""
    found_s = 0.0
    for account in accounts:
        for line in remarks(account, found_s):
            notify(f"{path} {line}")
        found_s += account.found_s


def _silent(_: str) -> None:
    """Passes nothing on."""


def _link(
    path: Path,
    view: ByteView,
    conformer: Conformer,
    account: Account,
    track: int | None,
    notify: Notify,
) -> Iterator[Samples]:
    """One recording of a chain: by libsndfile if that can read all of it, else by FFmpeg."""
    # FFmpeg bridges what is missing; its count of a last page can be a few samples off.
    simple = not account.lost_pages and is_seamless(path, view)
    whole = sndfile_reading.whole_ogg(view) if simple else None
    given = 0
    if whole is not None:
        try:
            for block in _whole_link(whole, conformer, account):
                given += len(block)
                yield block
            return
        except sf.LibsndfileError:
            account.timeline.position_s, account.kind = 0.0, None
            for block in conformer.flush():
                given += len(block)
                yield block
            view.seek(0)
    with opened(path, view) as container:
        stream = track_of(path, container, track)
        _tell_tracks(path, len(container.streams.audio), track, notify)
        for block in sound_of(container, stream, conformer, account):
            yield block[given:]
            given -= min(given, len(block))


def _whole_link(file: sf.SoundFile, conformer: Conformer, account: Account) -> Iterator[Samples]:
    account.kind = (file.samplerate, file.channels)
    with file:
        while len(block := file.read(_BLOCK, dtype="float32", always_2d=True)):
            account.timeline.position_s += len(block) / file.samplerate
            yield from conformer.push(as_heard(block, file.format), file.samplerate)


def _check_chain(path: Path, chain: Chain, found_s: float, salvage: bool, notify: Notify) -> None:
    lost = sum(link.lost_pages for link in chain.links)
    ended = all(link.ended for link in chain.links[-1:])
    if chain.skipped and not (chain.cut and not ended):
        pages = f", and {lost} pages are missing" if lost else ""
        notify(f"{path} has {chain.skipped} bytes that are no sound or damaged{pages}")
    elif lost:
        notify(f"{path} lacks {lost} pages of its sound")
    if ended:
        return
    if not chain.cut:
        notify(f"{path} ends without the mark of its last page, at {found_s:.2f} s")
        return
    if not salvage:
        raise AudioError(
            f"{path} is truncated: {found_s:.2f} s of sound can be read",
            "a last page that is whole",
            "copy it again, or let --salvage (in Python salvage=True) read what there is",
        )
    notify(f"{path} is truncated: {found_s:.2f} s are read")


def _mended(
    path: Path, file: BinaryIO, audio_format: AudioFormat, notify: Notify
) -> ByteView | None:
    """The file with a right header (compressed sound in WAV), or without tags in its midst (MP3).

    None if it is as it should be.
    """
    if audio_format.container == "MP3":
        pieces = without_inner_tags(file)
        return ByteView(file, pieces) if len(pieces) > 1 else None
    promise = promise_of(file, path.stat().st_size)
    if promise is None or promise.honest:
        return None
    if promise.next_at is not None:
        notify(f"{path} is joined of several; another recording behind it is left out")
    if remark := promise.remark():
        notify(f"{path} {remark}")
    return promise.view(file)


def _tell_tracks(path: Path, tracks: int, track: int | None, notify: Notify) -> None:
    if tracks > 1 and track is None:
        notify(f"{path} has {tracks} sound tracks, the first is taken; --track chooses another")


def _check_whole(
    path: Path,
    found_s: float,
    promised_s: float | None,
    missing: int | None,
    salvage: bool,
    notify: Notify,
) -> None:
    """Tell of a file that ends before it should, or raise AudioError unless it is to be salvaged.

    ``missing`` are the bytes that lack by its outline; None if it has none.
    """
    short_s = max(0.0, (promised_s or 0.0) - found_s)
    if missing == 0:
        # All of the file is there: it lies, or is damaged, and there is nothing to copy again.
        if short_s >= TOLERATED_S:
            notify(
                f"{path} holds {found_s:.2f} s of the {promised_s:.2f} s that its header promises"
            )
        return
    if short_s < TOLERATED_S and (not missing or promised_s is not None):
        if missing:
            notify(f"{path} ends {missing} bytes before its header says; its length is as it says")
        return
    if promised_s is not None:
        error = truncated(path, found_s, promised_s)
        text = f"{path} is truncated: {found_s:.2f} s of the {promised_s:.2f} s are read"
    else:
        error = AudioError(
            f"{path} is truncated: {found_s:.2f} s of sound can be read",
            f"{missing} bytes more, by its header",
            "copy it again, or let --salvage (in Python salvage=True) read what there is",
        )
        text = f"{path} is truncated by {missing} bytes: {found_s:.2f} s are read"
    if not salvage:
        raise error
    notify(text)
