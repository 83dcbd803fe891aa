from __future__ import annotations

import time

import pytest

from edgetui.core.failures import EdgetuiError
from edgetui.core.run_settings import ChatMessage
from edgetui.engines.chat_template import ChatTemplate, render_plain

CONVERSATION = [ChatMessage("system", "Be brief."), ChatMessage("user", "Hi {{ 7 * 7 }}")]


def render(source: str, messages: list[ChatMessage] = CONVERSATION) -> str:
    return ChatTemplate(source, bos_token="<s>", eos_token="</s>").render(messages)


def test_messages_and_special_tokens_reach_the_template() -> None:
    source = (
        "{{ bos_token }}{% for m in messages %}[{{ m['role'] }}]{{ m.content }}{% endfor %}"
        "{% if add_generation_prompt %}>{% endif %}"
    )
    assert render(source) == "<s>[system]Be brief.[user]Hi {{ 7 * 7 }}>"


def test_block_tags_leave_no_lines_behind() -> None:
    assert render("{% if true %}\n  {% set x = 1 %}\nyes{% endif %}") == "yes"


def test_a_template_without_system_role_gets_it_in_the_first_user_message() -> None:
    source = (
        "{% if messages[0].role == 'system' %}{{ raise_exception('System role not supported') }}{% endif %}"
        "{{ messages[0].content }}"
    )
    assert render(source) == "Be brief.\n\nHi {{ 7 * 7 }}"


def test_a_template_that_refuses_the_conversation_is_quoted() -> None:
    with pytest.raises(EdgetuiError, match="must alternate"):
        render("{{ raise_exception('Roles must alternate.') }}")


@pytest.mark.parametrize(
    "attack",
    [
        "{{ ''.__class__.__mro__[1].__subclasses__() }}",
        "{{ messages.append(1) }}",
        "{{ cycler.__init__.__globals__.os.system('true') }}",
        "{{ raise_exception.__globals__['signal'] }}",
        "{{ strftime_now.__globals__['jinja2'] }}",
        "{% for i in range(10**9) %}{% endfor %}",
        "{% include '/etc/passwd' %}",
        "{{ 1 // 0 }}",
        "{% macro a() %}{{ a() }}{% endmacro %}{{ a() }}",
        "{{ nothing.at.all }}",
        "{% if %}",
    ],
)
def test_a_hostile_or_broken_template_is_one_sentence(attack: str) -> None:
    with pytest.raises(EdgetuiError) as caught:
        render(attack)
    assert caught.value.failure.kind == "bad_file"
    assert "\n" not in str(caught.value)


def test_an_endless_template_is_cut_off() -> None:
    started = time.monotonic()
    loops = "{% for a in range(99999) %}" * 4 + "{% endfor %}" * 4
    with pytest.raises(EdgetuiError, match="too long"):
        render(loops)
    # Not a measure of speed: without the limit this runs for years.
    assert time.monotonic() - started < 60


def test_a_model_without_a_template_gets_the_plain_text() -> None:
    assert render_plain(CONVERSATION) == "Be brief.\nHi {{ 7 * 7 }}"


@pytest.mark.parametrize(
    "source",
    [
        "{{ 9**(9**9) }}",
        "{% set x = 99999 %}{{ (x ** x) ** x }}",
        "{{ 'a' * 10**13 }}",
        "{{ '%9999999999d' % 1 }}",
        "{{ '{}'.format() }}",
        "{{ raise_exception('') }}",
    ],
)
def test_arithmetic_that_nothing_could_interrupt_is_refused_before_it_begins(source: str) -> None:
    began = time.monotonic()
    with pytest.raises(EdgetuiError, match="chat template"):
        render(source)
    # Unrefused, the smallest of these computes for minutes.
    assert time.monotonic() - began < 30


def test_arithmetic_in_a_branch_that_is_not_taken_is_not_done_while_compiling() -> None:
    assert render("{% if 0 %}{{ 9**(9**8) }}{% endif %}") == ""


def test_arithmetic_of_real_templates_works() -> None:
    assert render("{{ 2 ** 10 }} {{ 'ab' * 2 }} {{ '%s-%03d' % ('x', 7) }} {{ 6 * 7 }} {{ 7 % 4 }}") == (
        "1024 abab x-007 42 3"
    )
