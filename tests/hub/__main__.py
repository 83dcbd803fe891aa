"""`python -m tests.hub`: a hub for a demonstration without the internet, with the embedded model in a repository."""

from __future__ import annotations

import argparse
import signal
import threading

from tests.conftest import find_demo_model
from tests.hub.content import Repo
from tests.hub.server import LoopbackHub


def main() -> None:
    """Serve until Ctrl-C."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--slow", type=float, metavar="MIB_PER_S", help="let content trickle at this rate")
    parser.add_argument("--drops", type=int, default=0, help="cut so many downloads after 10 MiB")
    arguments = parser.parse_args()
    with LoopbackHub() as hub:
        publish(hub)
        for _ in range(arguments.drops):
            hub.fail("/blobs/", drop_after=10 * 1024**2)
        if arguments.slow:
            hub.fail("/blobs/", bytes_per_s=arguments.slow * 1024**2, times=-1)
        print(f"export HF_ENDPOINT={hub.endpoint}", flush=True)
        ended = threading.Event()
        signal.signal(signal.SIGINT, lambda *_: ended.set())
        signal.signal(signal.SIGTERM, lambda *_: ended.set())
        ended.wait()


def publish(hub: LoopbackHub) -> None:
    """The embedded model under a name of its own, and names of many more without files of any size."""
    model = find_demo_model()
    tags = ("gguf", "license:apache-2.0", "en", "text-generation")
    told = {"total": 134_515_008, "architecture": "llama", "context_length": 8192}
    demo = hub.add(Repo("demo/SmolLM2-135M-Instruct-GGUF", tags=tags, downloads=4321, likes=87, trending=9, gguf=told))
    demo.put(
        "README.md", b"---\nlicense: apache-2.0\n---\n# SmolLM2 135M Instruct\n\nA small model for **small** boards.\n"
    )
    demo.put("SmolLM2-135M-Instruct.Q4_1.gguf", model)
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
        ).put("config.json", b"{}")


if __name__ == "__main__":
    main()
