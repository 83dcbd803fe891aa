"""`edgetui run ... --print-command`: what repeats a run elsewhere, without running it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from edgetui.cli.run_options import run_with

if TYPE_CHECKING:
    from edgetui.cli.answer import Question
    from edgetui.cli.run_options import Wanted
    from edgetui.services.lab import Lab


async def print_commands(lab: Lab, model: str, question: Question, wanted: Wanted) -> None:
    """Print every way to ask this; raises `EdgetuiError` for a model or settings that are wrong."""
    from edgetui.core.repeat_commands import as_text, facts_of, run_commands
    from edgetui.core.run_settings import ChatMessage

    try:
        entry = await lab.find_model(model)
        load, sampling, system = await run_with(lab, entry, wanted)
    finally:
        await lab.close()
    messages = [ChatMessage("system", system)] if system else []
    messages.append(ChatMessage("user", question.text))
    facts = facts_of(
        entry,
        load,
        sampling,
        messages=() if question.raw else messages,
        prompt=question.text if question.raw else None,
        usual_load=lab.settings.load,
        usual_sampling=lab.settings.sampling,
        usual_system=lab.settings.system_prompt,
    )
    print(as_text(run_commands(facts)), end="")
