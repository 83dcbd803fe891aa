"""Files of the hub's data sets; one that is in the cache is not asked for again."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from edgetui.hub.access import ANSWER_LIMIT_S
from edgetui.hub.failures import hub_failure

if TYPE_CHECKING:
    from edgetui.hub.access import HubAccess


def dataset_file(access: HubAccess, repo: str, path: str) -> Path:
    """A file of a data set's main branch, in huggingface_hub's cache; raises `EdgetuiError` as `hub_failure` says.

    The library's own download: it is for small files, and whoever uses one checks what is inside.
    """
    try:
        from huggingface_hub import hf_hub_download, try_to_load_from_cache

        cached = try_to_load_from_cache(repo, path, cache_dir=access.cache, repo_type="dataset")
        if isinstance(cached, str):
            return Path(cached)
        access.require_online()
        return Path(
            hf_hub_download(
                repo,
                path,
                repo_type="dataset",
                cache_dir=access.cache,
                endpoint=access.endpoint,
                token=access.token() or False,
                etag_timeout=ANSWER_LIMIT_S,
            )
        )
    except Exception as error:
        raise hub_failure(error, access, repo, path) from error
