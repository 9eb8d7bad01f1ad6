"""The run file: the settings of a training as TOML, under the names of the table of options. Imports no JAX."""

from __future__ import annotations

import json
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from fnn.errors import InputError
from fnn.options import OPTIONS, SECTIONS, Option, nearest

_MAX_BYTES = 2**20


def read_run_file(path: str | Path) -> dict[str, Any]:
    """The settings that a run file gives, by name. Nothing in it is evaluated.

    Raises:
        InputError: the file is missing or no TOML; a section or key is unknown; a value is not of its kind.

    Example:
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     path = Path(folder) / "run.toml"
        ...     _ = path.write_text('[data]\\nname = "mnist"\\n\\n[training]\\nepochs = 3\\n')
        ...     read_run_file(path)
        {'data': 'mnist', 'epochs': 3}
    """
    try:
        content = Path(path).read_bytes()
        if len(content) > _MAX_BYTES:
            raise InputError(f"{path}: expected a run file, got {len(content)} bytes")
        document = tomllib.loads(content.decode())
    except OSError as error:
        raise InputError(f"{path}: the run file cannot be read: {error.strerror or error}") from None
    except UnicodeDecodeError:
        raise InputError(f"{path}: expected a run file, TOML in UTF-8, got other bytes") from None
    except (tomllib.TOMLDecodeError, RecursionError) as error:
        raise InputError(f"{path}: expected a run file, in TOML: {error}") from None
    settings = {}
    for section, values in document.items():
        if section not in SECTIONS:
            raise InputError(f"{path}: {_unknown_section(section, values)}")
        if not isinstance(values, dict):
            raise InputError(f"{path}: expected {section} to be a section, [{section}], got {values!r}")
        for key, value in values.items():
            option = _find(path, section, key)
            try:
                settings[option.name] = option.kind.check(value)
            except ValueError as error:
                raise InputError(f"{path}: [{section}] {key}: {error}") from None
    return settings


def write_run_file(settings: Mapping[str, Any], title: str) -> str:
    """The text of a run file with these settings; those that are ``None`` are left out.

    Example:
        >>> print(write_run_file({"epochs": 3, "data": "mnist", "clip": None}, "three epochs"), end="")
        # three epochs
        <BLANKLINE>
        [data]
        name = "mnist"
        <BLANKLINE>
        [training]
        epochs = 3
    """
    lines = [f"# {title}"]
    for section in SECTIONS:
        options = [o for o in OPTIONS if o.section == section and settings.get(o.name) is not None]
        if options:
            lines += ["", f"[{section}]", *(f"{o.key_name} = {_literal(settings[o.name])}" for o in options)]
    return "\n".join(lines) + "\n"


def _find(path: str | Path, section: str, key: str) -> Option:
    known = {option.key_name: option for option in OPTIONS if option.section == section}
    if key in known:
        return known[key]
    elsewhere = [option for option in OPTIONS if key in (option.key_name, option.name)]
    hint = f"; it belongs in [{elsewhere[0].section}]" if elsewhere else nearest(key, known)
    raise InputError(f"{path}: [{section}] has no key {key!r}{hint or ', only ' + ', '.join(known)}")


def _unknown_section(name: str, value: Any) -> str:
    if isinstance(value, dict):
        return f"unknown section [{name}]{nearest(name, SECTIONS) or ', one of ' + ', '.join(SECTIONS)}"
    found = [option for option in OPTIONS if name in (option.key_name, option.name)]
    hint = f"; it belongs in [{found[0].section}]" if found else nearest(name, [o.key_name for o in OPTIONS])
    return f"the key {name!r} stands in no section{hint}"


def _literal(value: Any) -> str:
    if isinstance(value, list):
        return f"[{', '.join(map(_literal, value))}]"
    if isinstance(value, str):
        # A JSON string is a TOML string, but for one character.
        return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")
    return json.dumps(value)
