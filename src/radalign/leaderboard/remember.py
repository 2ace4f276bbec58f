"""A system that embeds every study and every text once, however many tasks ask, and times it."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Container, Iterable, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from radalign.study import Manifest, Study

Vectors = NDArray[np.float32]


class Remembering:
    """Wraps a system; whatever is not embedding goes to the system itself.

    Args:
        system: A trained one.
        precision: Makes the context that it embeds in.
    """

    def __init__(self, system: Any, precision: Callable[[], AbstractContextManager[Any]]) -> None:
        self.system, self.precision = system, precision
        self._images: dict[Any, Vectors] = {}
        self._texts: dict[Any, Vectors] = {}
        self._logits: dict[Any, Vectors] = {}
        self._asked: list[str] = []
        self.images_s = self.texts_s = 0.0

        self.recipe = system.recipe

    def __getattr__(self, name: str) -> Any:
        if name == "system":  # not yet set, while a copy is being made
            raise AttributeError(name)
        return getattr(self.system, name)

    def embed_studies(
        self, studies: Iterable[Study], manifest: Manifest | None = None, batch_size: int = 32,
        progress: Any = None,
    ) -> Vectors:  # fmt: skip
        """Embed the images of studies, [N, E]; only those not seen before are read."""
        listed = list(studies)
        self._asked += [study.id for study in listed]
        rows = self._of_studies(
            self._images, self.system.embed_studies, listed, manifest, batch_size, progress
        )
        return np.stack(rows) if rows else np.zeros((0, self.system.width), np.float32)

    def classify_studies(
        self, studies: Iterable[Study], manifest: Manifest, batch_size: int = 32, progress: Any = None
    ) -> Vectors:
        """Logits of a classifier's classes, [N, C]; only those not seen before are read.

        Not told by `asked_for`: whoever asks for classes has asked for the embeddings of the same studies.
        """
        ask = self.system.classify_studies
        rows = self._of_studies(self._logits, ask, list(studies), manifest, batch_size, progress)
        return np.stack(rows) if rows else np.zeros((0, len(self.system.own_classes)), np.float32)

    def _of_studies(
        self, known: dict[Any, Vectors], ask: Callable[..., Any], listed: list[Study],
        manifest: Manifest | None, batch_size: int, progress: Any,
    ) -> list[Vectors]:  # fmt: skip
        """A row per study, of those known or newly asked for."""
        source = manifest if manifest is not None else Manifest(listed, Path())
        keys = [_key(study, source) for study in listed]
        new = {key: study for key, study in zip(keys, listed, strict=True) if key not in known}
        begin = time.perf_counter()
        if new:
            with self.precision():
                rows = ask(list(new.values()), source, batch_size, progress)
            known |= zip(new, np.asarray(rows, np.float32), strict=True)
        self.images_s += time.perf_counter() - begin
        return [known[key] for key in keys]

    def embed_texts(self, texts: Sequence[str], batch_size: int = 128, normalise: bool = True) -> Vectors:
        """Embed texts, [N, E]; only those not seen before are read."""
        options = {} if normalise else {"normalise": False}
        new = [text for text in dict.fromkeys(texts) if (text, normalise) not in self._texts]
        begin = time.perf_counter()
        if new:
            with self.precision():
                rows = self.system.embed_texts(new, batch_size, **options)
            keys = [(text, normalise) for text in new]
            self._texts |= zip(keys, np.asarray(rows, np.float32), strict=True)
        self.texts_s += time.perf_counter() - begin
        rows = [self._texts[text, normalise] for text in texts]
        return np.stack(rows) if rows else np.zeros((0, self.system.width), np.float32)

    def asked_for(self, apart: Container[str] = frozenset()) -> str:
        """A hash of the studies that were asked for since the last call: what a task was judged on.

        Args:
            apart: Ids of studies that it only looked at to choose a threshold or to learn.
        """
        judged = [study_id for study_id in self._asked if study_id not in apart]
        digest = hashlib.sha256("\n".join(judged).encode()).hexdigest()
        self._asked = []
        return digest

    @property
    def seen(self) -> tuple[int, int]:
        """Studies and texts embedded so far."""
        return len(self._images), len(self._texts)


def _key(study: Study, manifest: Manifest) -> Any:
    """What decides a study's embedding: its own views and its prior's."""
    prior = manifest.prior(study)
    return str(manifest.root), study.id, study.views, () if prior is None else prior.views
