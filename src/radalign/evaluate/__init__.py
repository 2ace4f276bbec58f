"""Judging a system: ranking and classification metrics, intervals by patient, protocols, tables and figures.

Relevance     which candidates are right for a query         ranking.rank      per-query metrics
StudyEmbeddings                                              bootstrap         95 % intervals by patient
evaluate_retrieval(named embeddings) -> Result               tables, plots     what a reader sees
"""
