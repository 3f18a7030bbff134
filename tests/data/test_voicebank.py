import io
import shutil
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from zipfile import ZIP_DEFLATED, ZipFile

import numpy as np
import pytest
import soundfile

from speechduet.data.preparation import FailedTask, Prepared, finish, prepare
from speechduet.data.voicebank import PARTS, Release, copy_transcripts, download, tasks
from speechduet.errors import AudioError, SettingError

SMALL = Release(train=4, test=2)
NAMES = {
    "train": ("p226_001", "p287_002", "p228_001", "p228_002"),
    "test": ("p232_001", "p257_001"),
}


def wav(name: str, role: str) -> bytes:
    random = np.random.default_rng([int(name[1:4]), int(name[5:]), role == "noisy"])
    file = io.BytesIO()
    soundfile.write(file, random.uniform(-0.5, 0.5, 4803), 48_000, format="WAV")
    return file.getvalue()


@pytest.fixture
def archives(tmp_path: Path) -> Path:
    folder = tmp_path / "archives"
    folder.mkdir()
    for split, parts in PARTS.items():
        for part in parts:
            with ZipFile(folder / f"{part}.zip", "w", ZIP_DEFLATED) as archive:
                archive.writestr(f"{part}/", b"")
                for name in NAMES[split]:
                    archive.writestr(f"{part}/{name}.wav", wav(name, part[:5]))
                    archive.writestr(f"__MACOSX/{part}/._{name}.wav", b"of the archiver")
    with ZipFile(folder / "trainset_28spk_txt.zip", "w") as archive:
        for name in NAMES["train"]:
            archive.writestr(f"trainset_28spk_txt/{name}.txt", f"Text of {name}.\r\n")
    return folder


def made(source: Path, folder: Path) -> list[Prepared | FailedTask]:
    return list(prepare(tasks(source, SMALL, 16_000), folder, 16_000, {}))


def content(folder: Path) -> dict[str, bytes]:
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file()
    }


def test_archives_become_the_splits_of_the_field(archives: Path, tmp_path: Path) -> None:
    pairs = made(archives, tmp_path / "set")
    finish(tmp_path / "set", [pair for pair in pairs if isinstance(pair, Prepared)])
    for split, names in {
        "train": ("p228_001", "p228_002"),
        "valid": ("p226_001", "p287_002"),
        "test": ("p232_001", "p257_001"),
    }.items():
        for role in ("clean", "noisy"):
            folder = tmp_path / "set" / split / role
            assert sorted(path.stem for path in folder.iterdir()) == list(names)
            for path in folder.iterdir():
                found = soundfile.info(path)
                assert (found.samplerate, found.frames) == (16_000, 1601)
    assert "p226" in (tmp_path / "set/valid/manifest.csv").read_text()


def test_unpacked_folders_give_the_same(archives: Path, tmp_path: Path) -> None:
    unpacked = tmp_path / "unpacked"
    for path in archives.iterdir():
        with ZipFile(path) as archive:
            archive.extractall(unpacked)
    shutil.rmtree(unpacked / "__MACOSX")
    before = content(unpacked)
    assert len(made(archives, tmp_path / "one")) == len(made(unpacked, tmp_path / "other")) == 6
    assert content(tmp_path / "one") == content(tmp_path / "other")
    assert content(unpacked) == before


def test_transcripts_are_copied_untouched(archives: Path, tmp_path: Path) -> None:
    assert copy_transcripts(archives, tmp_path / "set", SMALL) == 4
    text = (tmp_path / "set/valid/transcripts/p226_001.txt").read_bytes()
    assert text == b"Text of p226_001.\r\n"
    assert (tmp_path / "set/train/transcripts/p228_002.txt").exists()


def test_what_is_missing_is_told(archives: Path) -> None:
    (archives / "noisy_trainset_28spk_wav.zip").unlink()
    (archives / "clean_testset_wav.zip").unlink()
    with pytest.raises(
        SettingError,
        match=r"lacks noisy_trainset_28spk_wav\.zip, clean_testset_wav\.zip; .*ds/2117 and put",
    ):
        tasks(archives, SMALL, 16_000)


def test_counts_and_partners_are_verified(archives: Path) -> None:
    with pytest.raises(AudioError, match="holds 4 recordings; expected 11572"):
        tasks(archives, Release(), 16_000)
    with ZipFile(archives / "noisy_testset_wav.zip", "w") as archive:
        for name in ("p232_001", "p257_009"):
            archive.writestr(f"{name}.wav", wav(name, "noisy"))
    with pytest.raises(AudioError, match=r"2 recordings .* no partner \(first: p257_001\)"):
        tasks(archives, SMALL, 16_000)


def test_damage_is_told_by_its_place(archives: Path, tmp_path: Path) -> None:
    path = archives / "clean_testset_wav.zip"
    held = bytearray(path.read_bytes())
    held[2000:2100] = bytes(100)
    path.write_bytes(held)
    failures = [x for x in made(archives, tmp_path / "set") if isinstance(x, FailedTask)]
    assert [failure.name for failure in failures] == ["test/p232_001"]
    assert "clean_testset_wav.zip/clean_testset_wav/p232_001.wav" in failures[0].error
    path.write_bytes(held[:3000])
    with pytest.raises(AudioError, match=r"clean_testset_wav\.zip is damaged or incomplete"):
        tasks(archives, SMALL, 16_000)


class Server(BaseHTTPRequestHandler):
    """Serves a folder; cuts off the first reply for the test archives in the middle."""

    folder: Path
    asked: list[tuple[str, str | None]]

    def do_GET(self) -> None:
        name, wanted = Path(self.path).name, self.headers["Range"]
        first = not any(asked == name for asked, _ in self.asked)
        self.asked.append((name, wanted))
        path = self.folder / name
        if not path.exists():
            self.send_error(404)
            return
        held = path.read_bytes()
        start = int(wanted.split("=")[1].rstrip("-")) if wanted else 0
        if start >= len(held):
            self.send_error(416)
            return
        self.send_response(206 if wanted else 200)
        self.send_header("Content-Length", str(len(held) - start))
        self.end_headers()
        stop = len(held) // 2 if first and "testset_wav" in name else len(held)
        self.wfile.write(held[start:stop])

    def log_message(self, *arguments: object) -> None:
        pass


@pytest.fixture
def server(archives: Path) -> Iterator[str]:
    Server.folder, Server.asked = archives, []
    with HTTPServer(("127.0.0.1", 0), Server) as served:
        thread = threading.Thread(target=served.serve_forever, args=(0.01,), daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{served.server_port}"
        served.shutdown()


@pytest.mark.parametrize(
    ("speaker", "nearest"), [("p22", "p22[68]"), ("P287", "p287"), ("", "p"), (" p226", "p226")]
)
def test_unknown_speakers_are_refused(archives: Path, speaker: str, nearest: str) -> None:
    with pytest.raises(SettingError, match=f"no speaker '{speaker}'.*did you mean '{nearest}"):
        tasks(archives, Release(4, 2, ("p226", speaker)), 16_000)


def test_download_goes_on_where_it_was_cut(archives: Path, server: str, tmp_path: Path) -> None:
    source = tmp_path / "fetched"
    calls: list[tuple[str, int, int]] = []
    (archives / "testset_txt.zip").write_bytes((archives / "trainset_28spk_txt.zip").read_bytes())

    def fetch() -> None:
        download(source, lambda *values: calls.append(values), server)

    for _ in range(2):
        with pytest.raises(AudioError, match=r"cannot fetch .*testset_wav\.zip .*run it again"):
            fetch()
    fetch()
    assert content(source) == content(archives)
    length = (archives / "clean_testset_wav.zip").stat().st_size
    assert ("clean_testset_wav.zip", f"bytes={length // 2}-") in Server.asked
    assert ("clean_testset_wav.zip", length, length) in calls
    asked = len(Server.asked)
    fetch()
    assert len(Server.asked) == asked


def test_a_whole_archive_under_its_working_name_is_taken(
    archives: Path, server: str, tmp_path: Path
) -> None:
    source = tmp_path / "fetched"
    shutil.copytree(archives, source)
    part = source / "clean_testset_wav.zip"
    part.rename(source / "clean_testset_wav.zip.part")
    with pytest.raises(AudioError, match=r"testset_txt\.zip \(HTTP Error 404.*and put it into"):
        download(source, lambda *_: None, server)
    assert part.exists()


def test_without_network_it_says_what_to_fetch(tmp_path: Path) -> None:
    with pytest.raises(AudioError, match=r"fetch clean_trainset_28spk_wav\.zip from .*2117 and"):
        download(tmp_path, lambda *_: None, "http://127.0.0.1:9")
