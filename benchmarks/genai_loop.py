"""A bare decode loop of onnxruntime-genai, run by the toolchain's own interpreter: no code of edgetui.

`python genai_loop.py FOLDER THREADS`: for each line `[[token, ...], count]` on stdin it decodes greedily after the
prompt, and prints the seconds from the first token to the last.
"""

from __future__ import annotations

import json
import sys
import time

import numpy
import onnxruntime_genai


def main(folder: str, threads: int) -> None:
    """Serve until stdin closes."""
    config = onnxruntime_genai.Config(folder)
    config.overlay(json.dumps({"model": {"decoder": {"session_options": {"intra_op_num_threads": threads}}}}))
    model = onnxruntime_genai.Model(config)
    for line in sys.stdin:
        prompt, count = json.loads(line)
        params = onnxruntime_genai.GeneratorParams(model)
        params.set_search_options(max_length=len(prompt) + count + 1, batch_size=1, do_sample=False)
        generator = onnxruntime_genai.Generator(model, params)
        generator.append_tokens(numpy.array(prompt, dtype=numpy.int32))
        generator.generate_next_token()
        generator.get_next_tokens()
        began = time.perf_counter()
        for _ in range(count - 1):
            generator.generate_next_token()
            generator.get_next_tokens()
        print(time.perf_counter() - began, flush=True)


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]))
