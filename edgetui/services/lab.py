"""Everything edgetui can do, built once by the app or by a command and handed down."""

from __future__ import annotations

import asyncio
import os
from functools import cached_property
from typing import TYPE_CHECKING

from edgetui.config import default_config_file, load_settings, resolve_paths, share_hub_settings

if TYPE_CHECKING:
    from pathlib import Path

    from edgetui.core.models import ModelEntry
    from edgetui.services.bench import Bench
    from edgetui.services.bench_history import BenchHistory
    from edgetui.services.catalog import Catalog
    from edgetui.services.conversations import Conversations
    from edgetui.services.downloads import Downloads
    from edgetui.services.engine_devices import EngineProbe
    from edgetui.services.fit import Fit
    from edgetui.services.frontier import Frontier
    from edgetui.services.hardware import HardwareMonitor
    from edgetui.services.hub import Hub
    from edgetui.services.imatrices import Imatrices
    from edgetui.services.importing import Importer
    from edgetui.services.inference import Inference
    from edgetui.services.jobs import Jobs
    from edgetui.services.library import Library
    from edgetui.services.olive import Olive
    from edgetui.services.onnx_sessions import OnnxSessions
    from edgetui.services.profiles import Profiles
    from edgetui.services.quality import Quality
    from edgetui.services.quantizer import Quantizer
    from edgetui.services.readiness import Readiness
    from edgetui.services.recipes import Recipes
    from edgetui.services.recommend import Recommender
    from edgetui.services.servers import Servers
    from edgetui.services.side_by_side import SideBySide
    from edgetui.services.speed import Speed
    from edgetui.services.tensors import Tensors
    from edgetui.services.toolchains import Toolchains
    from edgetui.services.workflows import Workflows
    from edgetui.store.database import Database


class Lab:
    """The services over one set of settings; each is made when first asked for, to keep the start short."""

    def __init__(self, config_file: Path | None = None) -> None:
        """Read the settings; raises `EdgetuiError("bad_settings")`."""
        config_file = config_file or default_config_file()
        self.settings = load_settings(config_file)
        share_hub_settings(self.settings, os.environ)
        self.paths = resolve_paths(self.settings, config_file)

    @cached_property
    def database(self) -> Database:
        """Index of jobs, history, provenance."""
        from edgetui.store.database import Database

        return Database(self.paths.database)

    @cached_property
    def catalog(self) -> Catalog:
        """Models on this machine."""
        from edgetui.services.catalog import Catalog

        return Catalog(self.settings, self.paths, self.database)

    @cached_property
    def hardware(self) -> HardwareMonitor:
        """What this machine is and does now."""
        from edgetui.services.hardware import HardwareMonitor

        return HardwareMonitor(models_dir=self.paths.models_dir)

    @cached_property
    def engine_devices(self) -> EngineProbe:
        """What the installed engines can compute on."""
        from edgetui.services.engine_devices import EngineProbe

        return EngineProbe(self.inference.engine_info)

    @cached_property
    def inference(self) -> Inference:
        """The loaded model."""
        from edgetui.services.inference import Inference

        return Inference(self.paths, self.servers.read_key)

    @cached_property
    def side_by_side(self) -> SideBySide:
        """Several models or settings on the same prompt."""
        from edgetui.services.inference import Inference
        from edgetui.services.joint_use import JointUse
        from edgetui.services.side_by_side import SideBySide, Usual

        return SideBySide(
            lambda: Inference(self.paths, self.servers.read_key),
            JointUse(self.fit, self.hardware),
            self.database,
            self.bench.machine,
            Usual(self.settings.load, self.settings.sampling, self.settings.system_prompt),
        )

    @cached_property
    def conversations(self) -> Conversations:
        """What was said to models."""
        from edgetui.services.conversations import Conversations

        return Conversations(self.database)

    @cached_property
    def profiles(self) -> Profiles:
        """Settings remembered for models on this machine."""
        from edgetui.services.profiles import Profiles

        return Profiles(self.database, self.hardware)

    @cached_property
    def servers(self) -> Servers:
        """Models that answer elsewhere."""
        from edgetui.services.servers import Servers

        return Servers(self.paths, lambda: self.jobs, lambda: self.bench.machine())

    async def find_model(self, name_or_path: str) -> ModelEntry:
        """A server's model by its name, else as `Catalog.find`; raises as that does."""
        return await self.servers.find(name_or_path) or await self.catalog.find(name_or_path)

    @cached_property
    def jobs(self) -> Jobs:
        """Work that outlives the terminal."""
        from edgetui.services.jobs import Jobs

        return Jobs(self.paths, self.database)

    @cached_property
    def hub(self) -> Hub:
        """Models that are not here yet."""
        from edgetui.services.hub import Hub

        return Hub(self.paths, self.database)

    @cached_property
    def downloads(self) -> Downloads:
        """Bringing them."""
        from edgetui.services.downloads import Downloads

        return Downloads(self.settings, self.jobs, self.hub)

    @cached_property
    def library(self) -> Library:
        """Keeping the models here in order."""
        from edgetui.services.library import Library

        return Library(self.paths, lambda: self.hub.access.cache)

    @cached_property
    def importer(self) -> Importer:
        """Taking files into the models folder."""
        from edgetui.services.importing import Importer

        return Importer(self.paths, self.catalog)

    @cached_property
    def quantizer(self) -> Quantizer:
        """Predicting and starting quantizations."""
        from edgetui.services.quantizer import Quantizer

        return Quantizer(self.settings, self.paths, self.jobs, self.catalog)

    @cached_property
    def quality(self) -> Quality:
        """What builds of a model have lost."""
        from edgetui.services.quality import Quality

        return Quality(self.settings, self.paths, self.jobs, self.catalog, self.database)

    @cached_property
    def imatrices(self) -> Imatrices:
        """Importance matrices."""
        from edgetui.services.imatrices import Imatrices

        return Imatrices(self.paths, self.jobs, self.database)

    @cached_property
    def tensors(self) -> Tensors:
        """What quantizing did to single tensors."""
        from edgetui.services.tensors import Tensors

        return Tensors(self.jobs, self.catalog, self.database)

    @cached_property
    def recipes(self) -> Recipes:
        """Searching the types of tensors."""
        from edgetui.services.recipes import Recipes

        return Recipes(self.settings, self.paths, self.jobs, self.quantizer, self.bench, self.speed)

    @cached_property
    def fit(self) -> Fit:
        """What models would take of this machine."""
        from edgetui.services.fit import Fit

        return Fit(self.paths, self.quantizer)

    @cached_property
    def toolchains(self) -> Toolchains:
        """Environments of the toolchains."""
        from edgetui.services.toolchains import Toolchains

        return Toolchains(self.settings, self.paths, self.jobs, self.hardware)

    @cached_property
    def frontier(self) -> Frontier:
        """Sweeps, and what they found."""
        from edgetui.services.frontier import Frontier

        return Frontier(
            self.settings,
            self.paths,
            self.jobs,
            self.database,
            self.catalog,
            self.quantizer,
            self.workflows,
            self.imatrices,
            self.toolchains,
            self.bench,
        )

    @cached_property
    def workflows(self) -> Workflows:
        """What the toolchains make of a model."""
        from edgetui.services.workflows import Workflows

        return Workflows(self.settings, self.paths, self.jobs)

    @cached_property
    def onnx_sessions(self) -> OnnxSessions:
        """Latency of ONNX graphs."""
        from edgetui.services.onnx_sessions import OnnxSessions

        return OnnxSessions(self.paths, self.jobs, self.database, self.bench.machine)

    @cached_property
    def olive(self) -> Olive:
        """Workflows of Microsoft Olive, as JSON."""
        from edgetui.services.olive import Olive

        return Olive(self.paths, self.jobs, self.workflows)

    @cached_property
    def bench(self) -> Bench:
        """Measurements and their history."""
        from edgetui.services.bench import Bench

        return Bench(self.jobs, self.database, self.hardware)

    @cached_property
    def bench_history(self) -> BenchHistory:
        """What becomes of measurements."""
        from edgetui.services.bench_history import BenchHistory

        return BenchHistory(self.database, self.bench, self.hardware)

    @cached_property
    def speed(self) -> Speed:
        """How fast models would run here."""
        from edgetui.services.speed import Speed

        return Speed(self.paths.log_dir, self.database, self.hardware, self.inference.engine_info, self.bench)

    @cached_property
    def recommender(self) -> Recommender:
        """Which model to take."""
        from edgetui.services.recommend import Recommender

        return Recommender(self.hardware, self.speed)

    @cached_property
    def readiness(self) -> Readiness:
        """Checks of what is installed and works."""
        from edgetui.services.readiness import Readiness

        return Readiness(self.settings, self.paths, self.inference.engine_info, self.hardware, self.toolchains)

    async def close(self) -> None:
        """End session workers and close the database; jobs go on."""
        if "inference" in self.__dict__:
            await self.inference.close()
        if "conversations" in self.__dict__:
            await self.conversations.flush()
        if "side_by_side" in self.__dict__:
            await self.side_by_side.close()
        if "database" in self.__dict__:
            await asyncio.to_thread(self.database.close)
