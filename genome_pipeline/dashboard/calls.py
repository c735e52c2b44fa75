"""Accepts calls of the page's own callbacks only: Dash does not check what a browser sends."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import flask
from dash import Dash

_PATH = "/_dash-update-component"
# The types of each property that a callback of this dashboard reads. Any of them may have no value yet.
_KINDS: Mapping[str, type] = {
    "pathname": str,
    "search": str,
    "forceColorScheme": str,
    "searchValue": str,
    "data": str,
    "value": str,
    "n_clicks": int,
    "n_intervals": int,
    "getRowsRequest": dict,
}


def refuse_malformed(app: Dash) -> None:
    """Answer 400 to a call that matches no callback of ``app``, or whose inputs are not those of the callback."""

    def check() -> flask.Response | None:
        if flask.request.path != _PATH:
            return None
        try:
            if _is_call(app.callback_map, flask.request.get_json(silent=True)):
                return None
        except RecursionError:  # deeply nested lists
            pass
        return flask.Response("That is no request of this dashboard's pages: open the page again.", 400)

    app.server.before_request(check)


def _is_call(callbacks: Mapping[str, Any], body: Any) -> bool:
    if not (isinstance(body, dict) and isinstance(body.get("output"), str)):
        return False
    callback = callbacks.get(body["output"], {})
    changed = body.get("changedPropIds", [])
    return (
        "callback" in callback  # a callback that runs in the browser has none
        and _output_of(body.get("outputs")) == body["output"]
        and _are_values_of(callback["inputs"], body.get("inputs"))
        and _are_values_of(callback["state"], body.get("state", []))
        and isinstance(changed, list)
        and all(isinstance(name, str) for name in changed)
    )


def _output_of(outputs: Any) -> str | None:
    """The name of a callback with these outputs, as Dash makes it."""
    given = outputs if isinstance(outputs, list) else [outputs]
    if not all(isinstance(output, dict) and {"id", "property"} <= output.keys() for output in given):
        return None
    names = [f"{output['id']}.{output['property']}" for output in given]
    return f"..{'...'.join(names)}.." if isinstance(outputs, list) else names[0]


def _are_values_of(expected: Sequence[Mapping[str, Any]], given: Any) -> bool:
    return (
        isinstance(given, list)
        and len(given) == len(expected)
        and all(
            isinstance(one, dict)
            and (one.get("id"), one.get("property")) == (other["id"], other["property"])
            and isinstance(one.get("value"), _KINDS[other["property"]] | None)
            for one, other in zip(given, expected, strict=True)
        )
    )
