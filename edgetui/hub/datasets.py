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
        from huggingface_hub import hf_hub_download, hf_hub_url, try_to_load_from_cache
        from huggingface_hub.utils import hf_raise_for_status

        cached = try_to_load_from_cache(repo, path, cache_dir=access.cache, repo_type="dataset")
        if isinstance(cached, str):
            return Path(cached)
        access.require_online()
        # Asked once by ourselves: the library tries a dead link for half a minute, and then says that no file is there.
        answer = access.ask(hf_hub_url(repo, path, repo_type="dataset", endpoint=access.endpoint))
        if not answer.is_redirect:
            hf_raise_for_status(answer)
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
