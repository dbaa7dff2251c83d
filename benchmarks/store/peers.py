"""The peers: what each tool does to take four arrays in and give them back, the way its manual says.

A peer that stores files is handed files in a working folder; one that stores arrays is handed arrays in memory.
Every method runs in a process of its own, so what a peer has to remember it keeps in its folder.
"""

from __future__ import annotations

import abc
import importlib.metadata
import importlib.util
import io
import json
import logging
import os
import shutil
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from benchmarks.store.measure import touch

Arrays = dict[str, NDArray[Any]]
_NPY_HEADER_NBYTES = 128  # what numpy.save writes for a shape of a few digits


class Peer(abc.ABC):
    """One tool with a repository in ``folder``.

    Attributes:
        name: what the report calls it.
        needs: the command or the importable package without which it is left out.
        install: how to get it.
        kept_in: the part of ``folder`` whose size on disk counts.
        version_argument: what makes the command tell its version.
    """

    name: ClassVar[str]
    needs: ClassVar[str]
    install: ClassVar[str]
    kept_in: ClassVar[str] = "."
    version_argument: ClassVar[str] = "--version"

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    @classmethod
    def is_installed(cls) -> bool:
        """Tell whether it can be run here."""
        return shutil.which(cls.needs) is not None or importlib.util.find_spec(cls.needs) is not None

    @classmethod
    def version(cls) -> str:
        """Return the version that is installed."""
        if importlib.util.find_spec(cls.needs):
            return importlib.metadata.version(cls.needs)
        told = subprocess.run([cls.needs, cls.version_argument], check=True, capture_output=True, text=True).stdout
        return next(word for word in told.split() if word[0].isdigit())

    def create(self) -> None:  # noqa: B027, most need nothing
        """Make an empty repository."""

    @abc.abstractmethod
    def stage(self, files: Mapping[str, Path]) -> None:
        """Have a version ready to be taken in; not timed."""

    @abc.abstractmethod
    def ingest(self) -> None:
        """Take the staged version in."""

    def forget(self) -> None:  # noqa: B027, as above
        """Drop copies outside the repository, so that a load has to come from it; not timed."""

    @abc.abstractmethod
    def load(self, names: list[str]) -> Arrays:
        """Return the version taken in last."""

    def rows(self, name: str, rows: slice) -> NDArray[Any] | None:
        """Return a few rows of one array; None where the tool has no partial read."""
        return None


class ArrayPeer(Peer):
    """A library that takes arrays."""

    def stage(self, files: Mapping[str, Path]) -> None:
        # Mapped and touched: in memory like any array, and sparing the machine a second copy.
        self.arrays = {name: np.load(file, mmap_mode="r").view(np.ndarray) for name, file in files.items()}
        touch(self.arrays.values())

    def _next_version(self) -> Path:
        return self.folder / f"version-{len(list(self.folder.iterdir()))}"

    def _last_version(self) -> Path:
        return max(self.folder.iterdir())


class FilePeer(Peer):
    """A tool that takes the files of a working folder."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.work = folder / "work"
        self.work.mkdir(parents=True, exist_ok=True)
        self.out = folder / "out"

    def stage(self, files: Mapping[str, Path]) -> None:
        for name, file in files.items():
            target = self.work / f"{name}.npy"
            target.unlink(missing_ok=True)  # it may be a link into the repository
            shutil.copyfile(file, target)

    def forget(self) -> None:
        for folder in (self.work, self.out):
            shutil.rmtree(folder, ignore_errors=True)
            folder.mkdir()

    def run(self, *command: str | Path, cwd: Path | None = None) -> None:
        """Run a command without leave to touch the person's own settings and caches."""
        home = self.folder / "home"
        home.mkdir(exist_ok=True)
        own = {"HOME": str(home), "XDG_CACHE_HOME": str(home), "XDG_CONFIG_HOME": str(home)}
        environment = os.environ | own | self.settings()
        done = subprocess.run(
            command, cwd=cwd or self.work, env=environment, check=False, capture_output=True, text=True
        )
        if done.returncode:
            raise RuntimeError(f"{' '.join(map(str, command))} failed with {done.returncode}: {done.stderr.strip()}")

    def settings(self) -> dict[str, str]:
        """Environment variables the tool wants."""
        return {}

    def restored(self, folder: Path, names: list[str]) -> Arrays:
        """Map the files that came back."""
        found = {file.stem: file for file in folder.rglob("*.npy")}
        return {name: np.load(found[name], mmap_mode="r") for name in names}


class Copy(ArrayPeer):
    name = "cp + fsync"
    needs = "cp"
    install = "part of the system"

    def stage(self, files: Mapping[str, Path]) -> None:
        self.files = files

    def ingest(self) -> None:
        version = self._next_version()
        version.mkdir()
        subprocess.run(["cp", *self.files.values(), version], check=True)
        for path in (*version.iterdir(), version):
            descriptor = os.open(path, os.O_RDONLY)
            os.fsync(descriptor)
            os.close(descriptor)

    def load(self, names: list[str]) -> Arrays:
        return {name: np.load(self._last_version() / f"{name}.npy") for name in names}

    def rows(self, name: str, rows: slice) -> NDArray[Any]:
        return np.load(self._last_version() / f"{name}.npy", mmap_mode="r")[rows]


class Dvc(FilePeer):
    name = "dvc add (hard links)"
    needs = "dvc"
    install = "pip install dvc"
    kept_in = "work/.dvc/cache"

    def settings(self) -> dict[str, str]:
        return {"DVC_NO_ANALYTICS": "1", "DVC_SITE_CACHE_DIR": str(self.folder / "home")}

    def create(self) -> None:
        self.run("dvc", "init", "--no-scm", "--quiet")
        self.run("dvc", "config", "cache.type", "hardlink")

    def ingest(self) -> None:
        self.run("dvc", "add", "--quiet", *sorted(file.name for file in self.work.glob("*.npy")))

    def forget(self) -> None:
        for file in self.work.glob("*.npy"):
            file.unlink()

    def load(self, names: list[str]) -> Arrays:
        self.run("dvc", "checkout", "--quiet")
        return self.restored(self.work, names)

    def rows(self, name: str, rows: slice) -> NDArray[Any]:
        return self.restored(self.work, [name])[name][rows]


class Restic(FilePeer):
    name = "restic"
    needs = "restic"
    version_argument = "version"
    install = "apt-get install restic"
    kept_in = "repository"

    def settings(self) -> dict[str, str]:
        return {"RESTIC_REPOSITORY": str(self.folder / "repository"), "RESTIC_PASSWORD": "benchmark"}

    def create(self) -> None:
        self.run("restic", "init", "--quiet")

    def ingest(self) -> None:
        self.run("restic", "backup", "--quiet", "work", cwd=self.folder)

    def load(self, names: list[str]) -> Arrays:
        self.run("restic", "restore", "latest", "--quiet", "--target", self.out)
        return self.restored(self.out, names)


class Borg(FilePeer):
    name = "borg (lz4)"
    needs = "borg"
    install = "apt-get install borgbackup"
    kept_in = "repository"

    def settings(self) -> dict[str, str]:
        return {
            "BORG_REPO": str(self.folder / "repository"),
            "BORG_BASE_DIR": str(self.folder / "home"),
            "BORG_UNKNOWN_UNENCRYPTED_REPO_ACCESS_IS_OK": "yes",
        }

    def create(self) -> None:
        self.run("borg", "init", "--encryption", "none")

    def ingest(self) -> None:
        (self.folder / "archives").mkdir(exist_ok=True)
        archive = self.folder / "archives" / f"archive-{len(list((self.folder / 'archives').iterdir()))}"
        archive.touch()
        self.run("borg", "create", f"::{archive.name}", "work", cwd=self.folder)

    def load(self, names: list[str]) -> Arrays:
        archive = max((self.folder / "archives").iterdir())
        self.run("borg", "extract", f"::{archive.name}", cwd=self.out)
        return self.restored(self.out, names)


class GitAnnex(FilePeer):
    name = "git-annex"
    needs = "git-annex"
    version_argument = "version"
    install = "apt-get install git-annex"
    kept_in = "work/.git"

    def settings(self) -> dict[str, str]:
        who = ("benchmark", "benchmark@localhost") * 2
        return dict(
            zip(("GIT_AUTHOR_NAME", "GIT_AUTHOR_EMAIL", "GIT_COMMITTER_NAME", "GIT_COMMITTER_EMAIL"), who, strict=True)
        )

    def create(self) -> None:
        self.run("git", "init", "--quiet")
        self.run("git", "annex", "init", "--quiet")

    def ingest(self) -> None:
        self.run("git", "annex", "add", "--quiet", ".")

    def forget(self) -> None:
        """Nothing: the working folder holds links into the repository."""

    def load(self, names: list[str]) -> Arrays:
        return self.restored(self.work, names)

    def rows(self, name: str, rows: slice) -> NDArray[Any]:
        return self.restored(self.work, [name])[name][rows]


class Xet(FilePeer):
    name = "hf-xet (local)"
    needs = "hf_xet"
    install = "pip install hf-xet"
    kept_in = "repository"

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        os.environ |= {"HF_HOME": str(folder / "home"), "HF_XET_CACHE": str(folder / "home")}
        import hf_xet

        self._xet = hf_xet
        self._session = hf_xet.XetSession()
        self._files = folder / "files.json"
        self._endpoint = f"local://{folder / 'repository'}"
        (folder / "repository").mkdir(exist_ok=True)

    def ingest(self) -> None:
        with self._session.new_upload_commit(endpoint=self._endpoint) as commit:
            uploads = {
                file.stem: commit.start_upload_file(str(file), sha256=self._xet.SKIP_SHA256)
                for file in self.work.glob("*.npy")
            }
        infos = {name: upload.result().xet_info for name, upload in uploads.items()}
        self._files.write_text(json.dumps({name: [info.hash, info.file_size] for name, info in infos.items()}))

    def load(self, names: list[str]) -> Arrays:
        with self._session.new_file_download_group(endpoint=self._endpoint) as group:
            for name in names:
                group.start_download_file(self._info(name), str(self.out / f"{name}.npy"))
        return self.restored(self.out, names)

    def rows(self, name: str, rows: slice) -> NDArray[Any]:
        group = self._session.new_download_stream_group(endpoint=self._endpoint)
        info = self._info(name)
        header = io.BytesIO(b"".join(group.download_stream(info, start=0, end=_NPY_HEADER_NBYTES)))
        np.lib.format.read_magic(header)
        shape, _, dtype = np.lib.format.read_array_header_1_0(header)
        row_nbytes = int(np.prod(shape[1:])) * dtype.itemsize
        start, stop = (_NPY_HEADER_NBYTES + row_nbytes * row for row in (rows.start, rows.stop))
        data = b"".join(group.download_stream(info, start=start, end=stop))
        return np.frombuffer(data, dtype).reshape(-1, *shape[1:])

    def _info(self, name: str) -> Any:
        return self._xet.XetFileInfo(*json.loads(self._files.read_text())[name])


class Zarr(ArrayPeer):
    name = "zarr (default zstd)"
    needs = "zarr"
    install = "pip install zarr"

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        import zarr

        self._zarr = zarr

    def ingest(self) -> None:
        version = self._next_version()
        for name, array in self.arrays.items():
            self._zarr.create_array(version / name, data=array)

    def load(self, names: list[str]) -> Arrays:
        return {name: self.rows(name, slice(None)) for name in names}

    def rows(self, name: str, rows: slice) -> NDArray[Any]:
        return self._zarr.open_array(self._last_version() / name, mode="r")[rows]


class DagsterFiles(ArrayPeer):
    name = "Dagster FilesystemIOManager"
    needs = "dagster"
    install = "pip install dagster"

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        import dagster

        self._dagster = dagster
        logging.disable(logging.DEBUG)  # it tells of every file
        factory = dagster.FilesystemIOManager(base_dir=str(folder))
        self._manager = factory.create_io_manager(dagster.build_init_resource_context())

    def ingest(self) -> None:
        run = self._next_version().name
        for name, array in self.arrays.items():
            self._manager.handle_output(self._output(run, name), array)

    def load(self, names: list[str]) -> Arrays:
        run = self._last_version().name
        inputs = {name: self._dagster.build_input_context(upstream_output=self._output(run, name)) for name in names}
        return {name: self._manager.load_input(context) for name, context in inputs.items()}

    def _output(self, run: str, name: str) -> Any:
        return self._dagster.build_output_context(run_id=run, step_key=name, name="result")


PEERS: tuple[type[Peer], ...] = (Copy, Dvc, Restic, Borg, GitAnnex, Xet, Zarr, DagsterFiles)
