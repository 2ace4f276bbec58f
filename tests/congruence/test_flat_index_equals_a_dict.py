"""Whatever is added, replaced, deleted, compacted or reopened: the index answers like a dict with a loop."""

import math
import os
import shutil
import tempfile
from dataclasses import replace
from pathlib import Path
from unittest import mock

import numpy as np
import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from radalign.search.errors import SearchError
from radalign.search.filters import Filter
from radalign.search.index import Index
from radalign.search.rows import Row

WIDTH = 8
LABELS, POSITIONS, SEXES = ("Edema", "Nodule", "Mass"), ("PA", "AP", "LL", ""), ("F", "M", "")


def pool():
    """Unit vectors: some tie exactly with each other under any of them, some are arbitrary."""
    eye = np.eye(WIDTH, dtype=np.float32)
    halves = [
        np.roll(np.array([0.5, 0.5, s, -s, 0, 0, 0, 0], np.float32), i) for i in (0, 1) for s in (0.5, -0.5)
    ]
    free = np.random.default_rng(5).normal(size=(6, WIDTH)).astype(np.float32)
    return [*eye[:4], *-eye[:2], *halves, *(free / np.linalg.norm(free, axis=1, keepdims=True))]


POOL = pool()
vectors = st.integers(0, len(POOL) - 1).map(lambda i: POOL[i])
ids = st.integers(0, 11).map(lambda i: f"s{i}")
rows = st.builds(
    Row,
    study_id=st.just(""),
    patient_id=st.sampled_from(["p1", "p2", "p3"]),
    positions=st.lists(st.sampled_from(POSITIONS), max_size=3).map(tuple),
    present=st.lists(st.sampled_from(LABELS), max_size=2, unique=True).map(tuple),
    unsure=st.lists(st.sampled_from(LABELS), max_size=1).map(tuple),
    sex=st.sampled_from(SEXES),
    age_years=st.one_of(st.none(), st.sampled_from([0.5, 40.0, 80.0])),
)
studies = st.fixed_dictionaries({"row": rows, "image": vectors, "report": st.one_of(st.none(), vectors)})
batches = st.dictionaries(ids, studies, min_size=1, max_size=5)
filters = st.builds(
    Filter,
    views=st.lists(st.sampled_from(["PA", "FRONTAL", "LATERAL"]), max_size=1).map(tuple),
    labels=st.lists(st.sampled_from(LABELS), max_size=1).map(tuple),
    not_labels=st.lists(st.sampled_from(LABELS), max_size=1).map(tuple),
    sexes=st.lists(st.sampled_from(["F", "M"]), max_size=2).map(tuple),
    min_age_years=st.one_of(st.none(), st.just(40.0)),
    max_age_years=st.one_of(st.none(), st.just(40.0)),
    exclude_studies=st.lists(ids, max_size=2).map(tuple),
    exclude_patients=st.lists(st.sampled_from(["p1"]), max_size=1).map(tuple),
)
groups = {"FRONTAL": {"PA", "AP"}, "LATERAL": {"LL"}, "PA": {"PA"}}


def passes(row, where):
    return (
        all(set(row.positions) & groups[view] for view in where.views)
        and all(label in row.present for label in where.labels)
        and not any(label in row.present + row.unsure for label in where.not_labels)
        and (not where.sexes or row.sex in where.sexes)
        and (where.min_age_years is None or (row.age_years is not None and row.age_years >= 40))
        and (where.max_age_years is None or (row.age_years is not None and row.age_years <= 40))
        and row.study_id not in where.exclude_studies
        and row.patient_id not in where.exclude_patients
    )


def loop_search(held, query, k, where, space):
    """Every study, one product at a time."""
    told = {i: s for i, s in held.items() if space == "images" or s["report"] is not None}
    key = "image" if space == "images" else "report"
    score = {
        i: math.fsum(float(a) * float(b) for a, b in zip(s[key], query, strict=True)) for i, s in told.items()
    }
    order = sorted((i for i in told if passes(told[i]["row"], where)), key=lambda i: (-score[i], i))[:k]
    counted = [s for i, s in score.items() if i not in where.exclude_studies]
    others = len(counted) - 1
    below = [sum(s < score[i] for s in counted) for i in order]
    return [(i, score[i], 100 * b / others if others else 100.0) for i, b in zip(order, below, strict=True)]


def held_names(held, *fields):
    values = (getattr(s["row"], field) for s in held.values() for field in fields)
    return {name for value in values for name in ([value] if isinstance(value, str) else value)} - {""}


class IndexAgainstDict(RuleBasedStateMachine):
    @initialize()
    def start(self):
        self.patch = mock.patch("os.fsync")  # durability is tested elsewhere, and costs most of the time
        self.patch.start()
        self.folder = Path(tempfile.mkdtemp()) / "idx"
        self.index = Index.create(self.folder, "toy", WIDTH)
        self.held = {}

    def teardown(self):
        if hasattr(self, "folder"):
            self.patch.stop()
            shutil.rmtree(self.folder.parent)

    def named(self, batch):
        return {
            i: s | {"row": replace(s["row"], study_id=i, image_paths=("x",) * len(s["row"].positions))}
            for i, s in batch.items()
        }

    def parts(self, batch):
        reports = np.array(
            [s["report"] if s["report"] is not None else np.zeros(WIDTH) for s in batch.values()]
        )
        mask = np.array([s["report"] is not None for s in batch.values()])
        images = np.array([s["image"] for s in batch.values()])
        named = [s["row"] for s in batch.values()]
        return (list(batch), images, named), {"report_vectors": reports, "report_mask": mask}

    @rule(batch=batches)
    def add(self, batch):
        batch = self.named(batch)
        arguments, reports = self.parts(batch)
        if set(batch) & set(self.held):
            with pytest.raises(SearchError, match="already"):
                self.index.add(*arguments, **reports)
            return
        self.index.add(*arguments, **reports)
        self.held |= batch

    @rule(batch=batches)
    def replace(self, batch):
        batch = self.named(batch)
        arguments, reports = self.parts(batch)
        assert self.index.replace(*arguments, **reports) == len(set(batch) & set(self.held))
        self.held |= batch

    @rule(chosen=st.sets(ids, max_size=3))
    def delete(self, chosen):
        if not chosen <= set(self.held):
            with pytest.raises(SearchError, match="holds no study"):
                self.index.delete(sorted(chosen))
            return
        self.index.delete(sorted(chosen))
        for study_id in chosen:
            del self.held[study_id]

    @rule()
    def compact(self):
        self.index.compact()
        assert len(list((self.folder / "segments").iterdir())) <= 1

    @rule()
    def open_again(self):
        self.index = Index.open(self.folder)
        self.index.verify()

    @rule(query=vectors, k=st.integers(1, 14), where=filters, space=st.sampled_from(["images", "reports"]))
    def search(self, query, k, where, space):
        known = set(where.labels + where.not_labels) <= held_names(
            self.held, "present", "absent", "unsure"
        ) and set(where.sexes) <= held_names(self.held, "sex")
        if not known:
            with pytest.raises(SearchError, match="The index holds"):
                self.index.search(query, k, where, space)
            return
        [hits] = self.index.search(query, k, where, space)
        expected = loop_search(self.held, query, k, where, space)
        assert [h.study_id for h in hits] == [i for i, _, _ in expected]
        assert [h.rank for h in hits] == list(range(1, len(expected) + 1))
        assert np.allclose([h.score for h in hits], [s for _, s, _ in expected], rtol=0, atol=1e-12)
        assert np.allclose([h.percentile for h in hits], [p for _, _, p in expected], rtol=0, atol=1e-9)
        assert [h.row for h in hits] == [self.held[i]["row"] for i, _, _ in expected]

    @invariant()
    def same_studies(self):
        if not hasattr(self, "index"):
            return
        assert len(self.index) == len(self.held)
        assert set(self.index.table().column("study_id").to_pylist()) == set(self.held)
        assert self.index.report_count == sum(s["report"] is not None for s in self.held.values())
        assert not [name for name in os.listdir(self.folder) if name.endswith(".partial")]


IndexAgainstDict.TestCase.settings = settings(
    max_examples=40, stateful_step_count=30, deadline=None, suppress_health_check=list(HealthCheck)
)
TestIndexAgainstDict = pytest.mark.timeout(600)(IndexAgainstDict.TestCase)  # file by file on a busy disk
