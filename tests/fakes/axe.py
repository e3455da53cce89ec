"""axe-core (vendored by axe-playwright-python) on a page that is open: `await axe.accessible(page)`.

It fails on what axe calls serious or critical, with the rule, the elements and what to do. Call it in each state of a
page that people see (a form that was refused, a list that is empty), not only on the page as it is loaded.
"""

from axe_playwright_python.async_playwright import Axe

FAILS = frozenset({"serious", "critical"})
MAX_NODES = 5
SETTLED = """() => Promise.allSettled(document.getAnimations().filter(one =>
    one.effect.getComputedTiming().endTime < 10000).map(one => one.finished))"""
"""What moves in has stopped: half-way it is pale, and axe says so."""


async def accessible(page, context=None):
    """AssertionError: axe finds something serious. `context`: a selector, to look at a part of the page only."""
    await page.evaluate(SETTLED)
    found = (await Axe().run(page, context)).response["violations"]
    wrong = [one for one in found if one["impact"] in FAILS]
    assert not wrong, f"{page.url} is not accessible:\n" + "\n".join(map(_told, wrong))


def _told(violation):
    lines = [f"{violation['impact']}: {violation['help']} ({violation['helpUrl']})"]
    for node in violation["nodes"][:MAX_NODES]:
        why = "; ".join(one["message"] for one in (*node["any"], *node["all"], *node["none"]))
        lines.append(f"  {node['html'][:200]}: {why}")
    return "\n".join(lines)
