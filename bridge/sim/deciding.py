"""What a response says: the client's own line, the outcome of function calls, an answer, a greeting or a nudge.

Looks at what came since the agent spoke last. Pure apart from the Agent's memory; called by
bridge/sim/conversation.py when a response has everything it needs.
"""

from collections.abc import Sequence

from bridge.sim.agent import Agent, Reply, Say, quoted
from bridge.sim.items import Item
from bridge.sim.protocol import ResponsePart
from bridge.sim.session import Session


def decide(agent: Agent, part: ResponsePart, context: Sequence[Item], session: Session) -> Reply:
    """The reply for a response.create `part` (empty for a turn of the caller) over the items of `context`."""
    line = quoted(part.instructions or "")
    if line is not None:
        return Say(line)
    news = _since_agent(context)
    outputs = [item.wire for item in news if item.kind == "function_call_output"]
    if outputs:
        return Say(" ".join(agent.result(wire["call_id"], wire["output"]).text for wire in outputs))
    texts = [item.text() for item in news if _speaks_to(agent, item)]
    if texts:
        understood = [text for text in texts if agent.understands(text)]
        return agent.hear((understood or texts)[-1], _callable(part, session))
    return agent.nudge() if any(item.role == "assistant" for item in context) else agent.greet()


def _since_agent(context: Sequence[Item]) -> Sequence[Item]:
    ours = [at for at, item in enumerate(context) if item.role == "assistant" or item.kind == "function_call"]
    return context[ours[-1] + 1 :] if ours else context


def _speaks_to(agent: Agent, item: Item) -> bool:
    """A caller always wants an answer; a system message only if the scenario knows it."""
    return item.role == "user" or (item.role == "system" and agent.understands(item.text()))


def _callable(part: ResponsePart, session: Session) -> set[str]:
    if (part.tool_choice or session.get("tool_choice")) == "none":
        return set()
    tools = session.tools if part.tools is None else [tool.model_dump() for tool in part.tools]
    return {tool["name"] for tool in tools if tool["type"] == "function"}
