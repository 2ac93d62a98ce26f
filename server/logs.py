"""Log lines for people on a terminal, JSON for everything else; what repeats is counted instead of written."""

import atexit
import json
import logging
import os
import sys
import threading
import time
from datetime import UTC, datetime
from logging.handlers import RotatingFileHandler
from pathlib import Path

from server.settings import Settings

QUIET_LOGGERS = ("uvicorn.error", "asyncio")
REPEATS_PER_PERIOD = 10
"""Warnings and errors of one kind that are written; the rest is counted, and the count is written."""
PERIOD_S = 60.0
KINDS_MAX = 200
"""Kinds that are told apart; what comes beyond them in one period counts as one kind."""
MESSAGE_MAX_CHARACTERS = 4000
TRACEBACK_MAX_CHARACTERS = 16_000


class TextFormatter(logging.Formatter):
    """A line a record for a terminal, which nothing in it can control."""

    def __init__(self) -> None:
        super().__init__("%(asctime)s %(levelname)-7s %(message)s", "%H:%M:%S")

    def formatMessage(self, record: logging.LogRecord) -> str:
        """The line, shortened, with control characters written out."""
        return _printable(_shortened(super().formatMessage(record), MESSAGE_MAX_CHARACTERS))

    def formatException(self, ei: object) -> str:
        """The traceback, shortened the same way."""
        text = _shortened(super().formatException(ei), TRACEBACK_MAX_CHARACTERS)  # type: ignore[arg-type]
        return "\n".join(map(_printable, text.split("\n")))


class JsonFormatter(logging.Formatter):
    """One JSON object a line."""

    def format(self, record: logging.LogRecord) -> str:
        """Time in UTC, level, logger, message, and the traceback if there is one."""
        line = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": _shortened(record.getMessage(), MESSAGE_MAX_CHARACTERS),
        }
        if record.exc_info:
            line["traceback"] = _shortened(self.formatException(record.exc_info), TRACEBACK_MAX_CHARACTERS)
        return json.dumps(line)


class RepeatLimit(logging.Filter):
    """Lets so many warnings and errors of one kind through in a period, and tells how many it kept back.

    A kind is the line of code that logs together with the place and type of the exception: what comes from outside is
    in neither, so nobody can make up kinds, and nobody without a token fills a disk with tracebacks.
    """

    def __init__(self, handler: logging.Handler, period_s: float = PERIOD_S) -> None:
        super().__init__()
        self._handler = handler
        self._period_s = period_s
        self._lock = threading.RLock()  # a signal handler may log in the middle
        self._period_ends = 0.0
        self._seen: dict[str, int] = {}
        self._timer: threading.Timer | None = None

    def filter(self, record: logging.LogRecord) -> bool:
        """Whether a record is written."""
        if record.levelno < logging.WARNING:
            return True
        with self._lock:
            if time.monotonic() >= self._period_ends:
                self._begin_period()
            kind = _kind(record)
            if kind not in self._seen and len(self._seen) >= KINDS_MAX:
                kind = "others"
            count = self._seen[kind] = self._seen.get(kind, 0) + 1
            if count <= REPEATS_PER_PERIOD:
                return True
            self._report_when_the_period_ends()
            return False

    def report(self) -> None:
        """Tell what was kept back so far."""
        with self._lock:
            self._timer = None
            self._begin_period()

    def _begin_period(self) -> None:
        kept_back = {kind: count - REPEATS_PER_PERIOD for kind, count in self._seen.items()}
        self._seen = {}
        self._period_ends = time.monotonic() + self._period_s
        for kind, count in kept_back.items():
            if count > 0:
                self._tell(kind, count)

    def _tell(self, kind: str, count: int) -> None:
        message = f"{count} more lines like those above were not written ({kind})"
        record = logging.LogRecord(__name__, logging.WARNING, __file__, 0, message, None, None)
        self._handler.acquire()
        try:
            self._handler.emit(record)
        finally:
            self._handler.release()

    def _report_when_the_period_ends(self) -> None:
        if self._timer is None:
            self._timer = threading.Timer(max(0.0, self._period_ends - time.monotonic()), self.report)
            self._timer.daemon = True
            self._timer.start()


class LogFile(RotatingFileHandler):
    """A log file that makes room when it is full: one older file is kept beside it, as NAME.1.

    Where standard output and error are this very file, they go along: what libraries print, and the last words of a
    process that crashes, are found in the same place and take no more room.
    """

    def __init__(self, path: Path, max_bytes: int) -> None:
        super().__init__(path, maxBytes=max_bytes, backupCount=1, encoding="utf-8")

    def doRollover(self) -> None:
        """Begin a new file."""
        following = [descriptor for descriptor in (1, 2) if self._is(descriptor)]
        super().doRollover()
        if self.stream is not None:
            for descriptor in following:
                os.dup2(self.stream.fileno(), descriptor)

    def _is(self, descriptor: int) -> bool:
        try:
            return os.path.samestat(os.fstat(descriptor), Path(self.baseFilename).stat())
        except OSError:
            return False


def set_up_logging(settings: Settings) -> None:
    """Send all log lines in one format to the log file, or else to standard error; raises OSError."""
    path, log_format = settings.log_file, settings.log_format
    handler = LogFile(path, settings.max_log_bytes) if path is not None else logging.StreamHandler()
    as_text = log_format == "text" or (log_format == "auto" and path is None and sys.stderr.isatty())
    handler.setFormatter(TextFormatter() if as_text else JsonFormatter())
    limit = RepeatLimit(handler)
    handler.addFilter(limit)
    atexit.register(limit.report)
    logging.basicConfig(level=settings.log_level.upper(), handlers=[handler], force=True)
    for name in QUIET_LOGGERS:
        logging.getLogger(name).setLevel(logging.WARNING)
    logging.getLogger("uvicorn.access").disabled = not settings.access_log


def _kind(record: logging.LogRecord) -> str:
    where = f"{record.name}, {record.filename}:{record.lineno}"
    if not record.exc_info or record.exc_info[0] is None:
        return where
    traceback = record.exc_info[2]
    while traceback is not None and traceback.tb_next is not None:
        traceback = traceback.tb_next
    raised = f" at {Path(traceback.tb_frame.f_code.co_filename).name}:{traceback.tb_lineno}" if traceback else ""
    return f"{where}, {record.exc_info[0].__name__}{raised}"


def _printable(text: str) -> str:
    return "".join(each if each.isprintable() else each.encode("unicode_escape").decode() for each in text)


def _shortened(text: str, limit: int) -> str:
    """The text, without its middle where it is long."""
    cut = len(text) - limit
    return text if cut <= 0 else f"{text[: limit // 2]} [{cut} characters left out] {text[-(limit // 2) :]}"
