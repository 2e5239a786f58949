"""The Hugging Face Hub, through huggingface_hub: the only importer of it.

    hub:OWNER/NAME@REVISION ─ download ─▶ folder in the cache of the Hub (HF_HOME)
    folder ─ upload ─▶ commit

The library reads HF_HOME, HF_TOKEN, HF_ENDPOINT and HF_HUB_OFFLINE. What it raises becomes a ModelError of one line
without the token.
"""

from __future__ import annotations

import contextlib
import logging
import os
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from ..errors import ConfigurationError, MissingExtraError, ModelError
from .reading import shortened
from .text import printable

PREFIX = "hub:"
"""Begins the name of a model on the Hub."""
LARGEST = 2 << 30
"""Bytes of a model that are downloaded at most."""
MOST_FILES = 200
_NAME = re.compile(r"[\w.-]{1,96}/[\w.-]{1,96}", re.ASCII)
_REVISION = re.compile(r"[\w./-]{1,250}", re.ASCII)
_COMMIT = re.compile(r"[0-9a-f]{40}")
_LONGEST_MESSAGE = 300
_OFFLINE = frozenset({"1", "ON", "YES", "TRUE"})
_log = logging.getLogger(__name__)


class Place(NamedTuple):
    """A model on the Hub.

    Attributes:
        repository: OWNER/NAME.
        revision: Branch, tag or commit; None for the newest.
    """

    repository: str
    revision: str | None = None


def parse(name: str) -> Place:
    """Read the name of a model on the Hub.

    Args:
        name: `hub:OWNER/NAME` or `hub:OWNER/NAME@REVISION`; the prefix may be left out.

    Returns:
        Its parts.

    Raises:
        ConfigurationError: It is no such name.
    """
    repository, at, revision = name.removeprefix(PREFIX).partition("@")
    if not _NAME.fullmatch(repository) or (at and not _REVISION.fullmatch(revision)) or ".." in name:
        raise ConfigurationError(f"{shortened(name)} names no model on the Hub; give OWNER/NAME or OWNER/NAME@REVISION")
    return Place(repository, revision or None)


def offline() -> bool:
    """Check whether the user forbids downloads, as huggingface_hub reads it.

    Returns:
        Whether HF_HUB_OFFLINE or TRANSFORMERS_OFFLINE is set.
    """
    return any(os.environ.get(name, "").upper() in _OFFLINE for name in ("HF_HUB_OFFLINE", "TRANSFORMERS_OFFLINE"))


def cached_file(repository: str, file: str) -> Path | None:
    """Find a file in the cache of the Hub, without a request.

    Args:
        repository: OWNER/NAME.
        file: Its name.

    Returns:
        Its path; None where it is not there.
    """
    import huggingface_hub

    found = huggingface_hub.try_to_load_from_cache(repository, file)
    return Path(found) if isinstance(found, str) else None


def download(place: Place, patterns: Sequence[str]) -> Path:
    """Find a model in the cache of the Hub, or download it there; a warning is logged before a download begins.

    One request finds out whether the cache holds the newest version. Without a network, or with HF_HUB_OFFLINE, the
    version in the cache is taken; so is a commit that is there, named by its full hash, without any request.

    Args:
        place: The model.
        patterns: Names of the files that are wanted (`fnmatch`); others are left on the Hub.

    Returns:
        A folder with these files, links into the cache.

    Raises:
        MissingExtraError: huggingface_hub is not installed.
        ModelError: There is no such model, it is too large, or it can neither be found in the cache nor downloaded.
    """
    hub, name = _library(), _spelled(place)
    wanted = {"repo_id": place.repository, "revision": place.revision, "allow_patterns": list(patterns)}
    with _named_errors(f"model {name}"):
        if offline() or _COMMIT.fullmatch(place.revision or ""):
            with contextlib.suppress(hub.errors.LocalEntryNotFoundError):
                return Path(hub.snapshot_download(**wanted, local_files_only=True))
        if not offline():
            _announce(hub, name, wanted)
        return Path(hub.snapshot_download(**wanted))


def upload(folder: Path, repository: str, *, private: bool, message: str) -> str:
    """Upload all files of a folder in one commit; the repository is created where it is missing.

    Args:
        folder: The files.
        repository: OWNER/NAME.
        private: Whether a repository that is created is private; one that is there stays as it is.
        message: Of the commit.

    Returns:
        Address of the commit.

    Raises:
        MissingExtraError: huggingface_hub is not installed.
        ModelError: There is no token, it may not write there, or the Hub cannot be reached.
    """
    hub = _library()
    if offline():
        raise ModelError(f"{repository}: nothing was uploaded, since HF_HUB_OFFLINE forbids to use the network")
    if hub.get_token() is None:
        raise ModelError(f"{repository}: an upload needs a token of the Hub: run `hf auth login`, or set HF_TOKEN")
    with _named_errors(f"{repository}: nothing was uploaded"):
        hub.HfApi().create_repo(repository, private=private, exist_ok=True)
        done = hub.HfApi().upload_folder(repo_id=repository, folder_path=folder, commit_message=message)
    return str(done.commit_url)


def leads_elsewhere(path: Path) -> bool:
    """Check for a link out of a model folder. The files of a snapshot in the cache of the Hub are links to its blobs.

    Args:
        path: A file of a model folder.

    Returns:
        Whether it is a link, and its target is no blob of the snapshot that it is in.
    """
    if not path.is_symlink():
        return False
    snapshots = [parent for parent in path.absolute().parents if parent.name == "snapshots"]
    return not any(path.resolve().parent == home.parent.resolve() / "blobs" for home in snapshots)


def _announce(hub: Any, name: str, wanted: dict[str, Any]) -> None:
    """Warn of a download, and refuse one that is too large."""
    try:
        found = hub.snapshot_download(**wanted, dry_run=True)
    except hub.errors.DryRunError as error:
        if not isinstance(error.__cause__, hub.errors.HfHubHTTPError):  # that is raised again by the download
            _log.warning("model %s: the Hub cannot be reached; looking for it in the cache", name)
        return
    pending = [each for each in found if each.will_download]
    size = sum(each.file_size or 0 for each in found)
    if size > LARGEST or len(found) > MOST_FILES:
        most = f"{MOST_FILES} of {LARGEST / 1e6:,.0f} MB are the limit"
        raise ModelError(f"model {name}: {len(found)} files of {size / 1e6:,.0f} MB; {most}")
    if pending:
        size, address = sum(each.file_size or 0 for each in pending), hub.constants.ENDPOINT
        _log.warning("model %s: %d files (%.1f MB) are downloaded from %s", name, len(pending), size / 1e6, address)


@contextlib.contextmanager
def _named_errors(what: str) -> Iterator[None]:
    """Turn what the library and its HTTP client raise into a ModelError that begins with `what`."""
    hub = _library()
    try:
        yield
    except hub.errors.LocalEntryNotFoundError as error:
        forbidden = ", and HF_HUB_OFFLINE forbids to download it" if offline() else ", and the Hub cannot be reached"
        raise ModelError(f"{what}: it is not on this computer{forbidden}") from error
    except hub.errors.RepositoryNotFoundError as error:
        raise ModelError(
            f"{what}: there is no such repository on the Hub, or your token may not use it (`hf auth login`, HF_TOKEN)"
        ) from error
    except (hub.errors.HfHubHTTPError, hub.errors.HTTPError, OSError, ValueError) as error:
        raise ModelError(f"{what}: {_one_line(str(error), hub.get_token())}") from error


def _one_line(text: str, token: str | None) -> str:
    """A message without control characters and without the token."""
    text = text.replace(token, "…") if token else text
    return printable(" ".join(text.split()))[:_LONGEST_MESSAGE]


def _spelled(place: Place) -> str:
    return PREFIX + place.repository + (f"@{place.revision}" if place.revision else "")


def _library() -> Any:
    try:
        import huggingface_hub
        import huggingface_hub.constants
        import huggingface_hub.errors
    except ImportError as error:
        raise MissingExtraError("A model on the Hugging Face Hub", "hub") from error
    return huggingface_hub
