"""`python -m tests.hub`: a hub for a demonstration without the internet, with the embedded model in a repository."""

from __future__ import annotations

import argparse
import signal
import tempfile
import threading
from pathlib import Path

from edgetui.services.families import read_families
from tests.conftest import find_demo_model
from tests.hub.content import Repo
from tests.hub.server import LoopbackHub
from tests.outline_gguf import write_outline

OUTLINES = {"Qwen3-0.6B": ("Q4_K_M", "Q6_K", "Q8_0"), "Qwen3-1.7B": ("Q4_K_M",)}
OUTLINE_CARD = """---
license: apache-2.0
---
# Only the outline

The headers are those of the real model, every weight is zero: it can be looked into, downloaded and verified, and it
says nothing of use.
"""


def main() -> None:
    """Serve until Ctrl-C."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--slow", type=float, metavar="MIB_PER_S", help="let content trickle at this rate")
    parser.add_argument("--drops", type=int, default=0, help="cut so many downloads after 10 MiB")
    arguments = parser.parse_args()
    with LoopbackHub() as hub, tempfile.TemporaryDirectory() as folder:
        publish(hub, Path(folder))
        for _ in range(arguments.drops):
            hub.fail("/blobs/", drop_after=10 * 1024**2)
        if arguments.slow:
            hub.fail("/blobs/", bytes_per_s=arguments.slow * 1024**2, times=-1)
        print(f"export HF_ENDPOINT={hub.endpoint}", flush=True)
        ended = threading.Event()
        signal.signal(signal.SIGINT, lambda *_: ended.set())
        signal.signal(signal.SIGTERM, lambda *_: ended.set())
        ended.wait()


def publish(hub: LoopbackHub, folder: Path) -> None:
    """The embedded model under a name of its own, two Qwen3 without their weights, and names of many more."""
    model = find_demo_model()
    tags = ("gguf", "license:apache-2.0", "en", "text-generation")
    told = {"total": 134_515_008, "architecture": "llama", "context_length": 8192}
    demo = hub.add(Repo("demo/SmolLM2-135M-Instruct-GGUF", tags=tags, downloads=4321, likes=87, trending=9, gguf=told))
    demo.put(
        "README.md", b"---\nlicense: apache-2.0\n---\n# SmolLM2 135M Instruct\n\nA small model for **small** boards.\n"
    )
    demo.put("SmolLM2-135M-Instruct.Q4_1.gguf", model)
    members = {member.name: member for family in read_families() for member in family.members}
    for name, kinds in OUTLINES.items():
        outline = hub.add(Repo(f"outline/{name}-GGUF", tags=tags, downloads=2000, trending=20))
        outline.gguf = {"total": members[name].parameters, "architecture": "qwen3"}
        outline.put("README.md", OUTLINE_CARD.encode())
        for kind in kinds:
            file = write_outline(folder / f"{name}-{kind}.gguf", members[name], kind)
            # Hashed now, not while somebody waits for the first answer.
            assert outline.put(file.name, file).sha256
    for number in range(300):
        size = (0.6, 1.7, 4, 8, 14, 32)[number % 6]
        hub.add(
            Repo(
                f"maker{number % 7}/Qwen3-{size}B-edition-{number}-GGUF",
                tags=("gguf", "license:apache-2.0"),
                downloads=10_000 - number,
                likes=number % 91,
                trending=number % 13,
                gated="manual" if number % 17 == 0 else False,
                gguf={"total": int(size * 1e9), "architecture": "qwen3"},
            )
        ).put("README.md", b"A name without files: it only makes the list long.\n")


if __name__ == "__main__":
    main()
