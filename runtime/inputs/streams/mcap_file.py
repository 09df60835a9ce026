"""MCAP files as a stream, also those that a crash left without an end."""

from __future__ import annotations

import os
import struct
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, BinaryIO

from ....networks.packages import require
from .frame import Frame
from .image_message import Decode, choose_topic, decoder, image_type, read_frames, whole

_MAGIC, _RECORD = 8, struct.Struct("<BQ")
_LARGEST = 1 << 30
_ENCODINGS = ("cdr", "ros1")
_NEED = "MCAP files need more packages"


class McapFile:
    """The pictures of one topic of an MCAP file, or of several files one after the other, by log time.

    A part that is damaged or that a crash cut off is left out, with all that follows it in that file: an
    OutriderWarning says where. Raises ValueError for a file that is no MCAP file or a topic that is not there (see
    `choose_topic`), ImportError naming the extra `watch`.
    """

    live, dropped, reconnects = False, 0, 0

    def __init__(self, paths: Sequence[Path], topic: str | None = None) -> None:
        require("rosbags.typesys", _NEED)
        self._files: list[_File] = []
        try:
            for path in paths:
                self._files.append(_File(path))
            types = {name: kind for file in self._files for name, kind in file.types.items()}
            source = paths[0] if len(paths) == 1 else paths[0].parent
            self.topic = choose_topic(source, types, topic)
        except BaseException:
            self.close()
            raise

    def __iter__(self) -> Iterator[Frame]:
        return read_frames(self.topic, (message for file in self._files for message in file.messages(self.topic)))

    def close(self) -> None:
        for file in self._files:
            file.close()


class _File:
    """One file. types: {topic: message type}."""

    def __init__(self, path: Path) -> None:
        self._reader = require("mcap.reader", _NEED)
        self._stream_reader = require("mcap.stream_reader", _NEED)
        self._path, self._decoders = path, dict[str, Decode]()
        self._file = path.open("rb")
        try:
            if self._file.read(_MAGIC) != b"\x89MCAP0\r\n":
                raise ValueError(f"{path}: expected an MCAP file, got a file that begins otherwise")
            self._end = os.fstat(self._file.fileno()).st_size
            self._summary = self._read_summary()
            if self._summary is None:
                self._end = _end_of_whole_records(self._file, self._end)
                self.types = self._scan()
            else:
                schemas = self._summary.schemas
                self.types = {c.topic: _type(c, schemas) for c in self._summary.channels.values()}
        except BaseException:
            self._file.close()
            raise

    def messages(self, topic: str) -> Iterator[tuple[int, Decode, bytes]]:
        """(log time, decoder, bytes) of every message of a topic, and a warning where the file is not whole."""
        return whole(self._messages(topic), self._path, topic, self._missing)

    def _messages(self, topic: str) -> Iterator[tuple[int, Decode, bytes]]:
        found = self._seeking_reader().iter_messages([topic]) if self._summary else self._in_file_order(topic)
        for schema, channel, message in found:
            yield message.log_time, self._decoder(schema, channel), message.data

    def _missing(self) -> str:
        """What the file lacks after its last message, or nothing."""
        size = os.fstat(self._file.fileno()).st_size
        if self._end < size:
            return f"the last record is cut off at byte {self._end:,} of {size:,}"
        return "" if self._summary or self._ended else "the file ends without its footer"

    def close(self) -> None:
        self._file.close()

    def _read_summary(self) -> Any:
        """The index at the end of the file; None where it is missing or cannot be read."""
        try:
            summary = self._seeking_reader().get_summary()
        except Exception:  # noqa: BLE001 (any failure means: read the file from its beginning)
            return None
        return summary if summary is not None and summary.chunk_indexes else None

    def _seeking_reader(self) -> Any:
        self._file.seek(0)
        return self._reader.SeekingReader(self._file, validate_crcs=True, record_size_limit=_LARGEST)

    def _records(self) -> Iterator[Any]:
        """Every whole record in the order of the file; `_ended` says whether the footer was among them."""
        self._file.seek(0)
        self._ended = False
        beginning = _Beginning(self._file, self._end)
        reader = self._stream_reader.StreamReader(beginning, record_size_limit=_LARGEST, validate_crcs=True)
        end_of_file = require("mcap.exceptions", _NEED).EndOfFile
        try:
            yield from reader.records
        except end_of_file:
            return
        self._ended = True

    def _in_file_order(self, topic: str | None, types: dict[str, str] | None = None) -> Iterator[tuple[Any, Any, Any]]:
        """(schema, channel, message) of a topic. types: takes the message types of all topics, as they come up."""
        schemas: dict[int, Any] = {}
        channels: dict[int, Any] = {}
        for record in self._records():
            kind = type(record).__name__
            if kind == "Schema":
                schemas[record.id] = record
            elif kind == "Channel":
                channels[record.id] = record
                if types is not None:
                    types[record.topic] = _type(record, schemas)
            elif kind == "Message" and channels[record.channel_id].topic == topic:
                channel = channels[record.channel_id]
                yield schemas.get(channel.schema_id), channel, record

    def _scan(self) -> dict[str, str]:
        types: dict[str, str] = {}
        with suppress(Exception):  # the topics up to there; `messages` says what is wrong
            next(self._in_file_order(None, types), None)
        return types

    def _decoder(self, schema: Any, channel: Any) -> Decode:
        encoding = channel.message_encoding
        if encoding not in self._decoders:
            self._decoders[encoding] = decoder(image_type(schema.name) or "", encoding)
        return self._decoders[encoding]


class _Beginning:
    """A file up to `end`, for readers that take what is left for a whole record."""

    def __init__(self, file: BinaryIO, end: int) -> None:
        self._file, self._end = file, end

    def read(self, size: int) -> bytes:
        return self._file.read(max(0, min(size, self._end - self._file.tell())))


def _end_of_whole_records(file: BinaryIO, size: int) -> int:
    """Where the last whole record of the file ends, with the magic bytes behind the footer."""
    position, footer = _MAGIC, False
    while not footer:
        file.seek(position)
        head = file.read(_RECORD.size)
        if len(head) < _RECORD.size:
            break
        opcode, length = _RECORD.unpack(head)
        if length > size - position - _RECORD.size:
            break
        position += _RECORD.size + length
        footer = opcode == 2
    return min(size, position + _MAGIC) if footer else position


def _type(channel: Any, schemas: dict[int, Any]) -> str:
    """The message type of a channel. An encoding that is not of ROS is added: such a topic holds no pictures."""
    schema = schemas.get(channel.schema_id)
    name = "no schema" if schema is None else str(schema.name)
    return name if channel.message_encoding in _ENCODINGS else f"{name} in {channel.message_encoding or 'no encoding'}"
