"""Run the real command in a real process."""

import os
import subprocess
import sys
import textwrap
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

Synapse = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture
def synapse(tmp_path: Path) -> Synapse:
    """Return a function that runs ``synapse`` with the given arguments, without a terminal."""

    def run(
        *arguments: str, cwd: Path | None = None, stdin: str = "", env: Mapping[str, str] | None = None
    ) -> "subprocess.CompletedProcess[str]":
        return subprocess.run(
            [sys.executable, "-m", "synapse_cli", *arguments],
            cwd=cwd or tmp_path,
            input=stdin,
            env={**os.environ, **(env or {})},
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )

    return run


@pytest.fixture
def plugin(tmp_path: Path) -> Path:
    """Write a plugin with one action for each thing that can happen; returns its folder."""
    folder = tmp_path / "shop"
    (folder / "plugin").mkdir(parents=True)
    (folder / "config.yaml").write_text(
        textwrap.dedent("""\
        code: shop
        name: Shop
        env:
          GREETING: from-config
          LAYER: config
        actions:
          add:
            entrypoint: plugin.actions:AddAction
            method: task
            description: Add two numbers.
          echo: plugin.actions:echo
          fail: {entrypoint: plugin.actions:fail}
          settings: {entrypoint: plugin.actions:settings}
          reports: {entrypoint: plugin.actions:reports}
          text: {entrypoint: plugin.actions:text}
          nothing: {entrypoint: plugin.actions:nothing}
          odd: {entrypoint: plugin.actions:odd}
          unprintable: {entrypoint: plugin.actions:unprintable}
          leave: {entrypoint: plugin.actions:leave}
          base: {entrypoint: plugin.actions:base}
          group: {entrypoint: plugin.actions:group}
          mute: {entrypoint: plugin.actions:mute}
          unpicklable: {entrypoint: plugin.actions:unpicklable}
          infer: {entrypoint: plugin.actions:infer}
          waits: {entrypoint: plugin.actions:waits}
          waits_async: {entrypoint: plugin.actions:waits_async}
          broken: {entrypoint: plugin.broken:Action}
          absent: {entrypoint: plugin.actions:Abscent}
        """)
    )
    (folder / "plugin" / "broken.py").write_text("import json\n\nraise RuntimeError('cannot be imported')\n")
    (folder / "plugin" / "actions.py").write_text(
        textwrap.dedent('''\
        import asyncio
        import threading
        from pathlib import Path

        from pydantic import BaseModel, ConfigDict, Field

        from synapse_core import BaseAction


        class AddParams(BaseModel):
            """Params of add."""

            model_config = ConfigDict(extra="forbid")

            left: int = Field(ge=0, description="The left one")
            right: int = 1
            scale: dict[str, float] = {}


        class AddAction(BaseAction[AddParams]):
            def execute(self):
                return {"sum": self.params.left + self.params.right, "scale": self.params.scale}


        def echo(params, ctx):
            return params


        def fail(params, ctx):
            ctx.log_message("about to fail")
            raise ValueError("the reason")


        def settings(params, ctx):
            return {key: ctx.env.get(key) for key in params["keys"]}


        def reports(params, ctx):
            ctx.log("epoch", {"loss": 0.5})
            ctx.set_progress(1, 2, "work")
            ctx.set_metrics({"accuracy": 0.9}, "work")
            ctx.log_dev_event("for developers")
            print("printed by the action")


        def text(params, ctx):
            return "just text"


        def nothing(params, ctx):
            return None


        class Odd:
            def __repr__(self):
                return "Odd()"


        def odd(params, ctx):
            return {"odd": Odd()}


        class Unprintable:
            def __repr__(self):
                raise RuntimeError("no text")


        def unprintable(params, ctx):
            return Unprintable()


        def leave(params, ctx):
            import sys
            sys.exit(0)


        class Base(BaseException):
            pass


        def base(params, ctx):
            raise Base("below Exception")


        def group(params, ctx):
            raise ExceptionGroup("several", [ValueError("first"), KeyError("second")])


        class Mute(Exception):
            def __str__(self):
                raise RuntimeError("no text")


        def mute(params, ctx):
            raise Mute()


        def unpicklable(params, ctx):
            raise ValueError(threading.Lock())


        class InferParams(BaseModel):
            input: list[float]
            path: str


        class InferAction(BaseAction[InferParams]):
            def execute(self):
                return {"input": self.params.input, "path": self.params.path}


        infer = InferAction


        def waits(params, ctx):
            try:
                Path(params["started"]).touch()
                threading.Event().wait(60)
            finally:
                Path(params["cleaned"]).touch()


        async def waits_async(params, ctx):
            try:
                Path(params["started"]).touch()
                await asyncio.sleep(60)
            finally:
                Path(params["cleaned"]).touch()
        ''')
    )
    return folder
