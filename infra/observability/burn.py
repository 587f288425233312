"""How fast an error budget is used up, seen through a long and a short window at once (Google's SRE workbook, ch. 5).

2 % of 30 days' budget in 1 h   factor 14.4   page      the long window says that it matters,
5 % in 6 h                      factor 6      page      the short one that it is still so
10 % in 1 day                   factor 3      ticket
10 % in 3 days                  factor 1      ticket
"""

from __future__ import annotations

from dataclasses import dataclass

OBJECTIVE = 0.999
BUDGET = 1 - OBJECTIVE


@dataclass(frozen=True)
class Window:
    """One speed that is looked for."""

    long: str
    short: str
    factor: float
    severity: str
    # In a village with four visitors an hour one failure is a quarter of all: fewer than these wake nobody.
    least_errors: int
    lasting: str


WINDOWS = (
    Window("1h", "5m", 14.4, "page", 5, "2m"),
    Window("6h", "30m", 6, "page", 5, "15m"),
    Window("1d", "2h", 3, "ticket", 10, "1h"),
    Window("3d", "6h", 1, "ticket", 10, "3h"),
)
SPANS = tuple(dict.fromkeys(span for window in WINDOWS for span in (window.short, window.long)))


@dataclass(frozen=True)
class Objective:
    """Calls of one kind, of which 99.9 % are to be answered without a failure of ours."""

    name: str
    count: str
    by: str

    def record(self, span: str) -> str:
        """The name under which the ratio over a span is kept."""
        return f"zongzhi:{self.name}_error_ratio:rate{span}"

    def ratio(self, span: str) -> str:
        """Failures over all, by place."""
        failed, every = f'{self.count}{{error_type!=""}}', self.count
        return f"sum by ({self.by}) (rate({failed}[{span}])) / sum by ({self.by}) (rate({every}[{span}]))"

    def burning(self, window: Window) -> str:
        """Too fast in both windows, and not only a handful."""
        limit = f"{window.factor} * {BUDGET:.3f}"
        failed = f'increase({self.count}{{error_type!=""}}[{window.long}])'
        return (
            f"{self.record(window.long)} > {limit} and {self.record(window.short)} > {limit}"
            f" and on ({self.by}) sum by ({self.by}) ({failed}) >= {window.least_errors}"
        )


HTTP = Objective("http", "http_server_request_duration_seconds_count", "zongzhi_tier")
RPC = Objective("rpc", "rpc_server_call_duration_seconds_count", "zongzhi_tier, service")
OBJECTIVES = (HTTP, RPC)
