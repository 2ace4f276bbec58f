import json
from concurrent.futures import ThreadPoolExecutor

import pytest
import torch

from radalign.weights.names import CheckpointError
from radalign.weights.tokenizer import HashTokenizer, read_tokenizer

VOCABULARY = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "no", "effusion", "##s", "heart", "Heart", "."]


def a_folder(folder, **settings):
    (folder / "vocab.txt").write_text("\n".join(VOCABULARY) + "\n", "utf-8")
    if settings:
        (folder / "tokenizer_config.json").write_text(json.dumps(settings))
    return folder


def test_batches_are_padded_to_their_longest_and_masked(tmp_path):
    tokenizer = read_tokenizer(a_folder(tmp_path), 16)
    ids, mask = tokenizer(["no effusions.", "", "heart"])
    assert ids.tolist() == [[2, 5, 6, 7, 10, 3], [2, 3, 0, 0, 0, 0], [2, 8, 3, 0, 0, 0]]
    assert mask.dtype == torch.bool
    assert mask.sum(1).tolist() == [6, 2, 3]
    assert (tokenizer.pad_id, tokenizer.mask_id) == (0, 4)


def test_long_texts_keep_their_end(tmp_path):
    tokenizer = read_tokenizer(a_folder(tmp_path), 5)
    assert tokenizer(["no no no no no no"])[0].tolist() == [[2, 5, 5, 5, 3]]
    assert tokenizer(["no no no no no no"], max_tokens=3)[0].tolist() == [[2, 5, 3]]
    assert tokenizer(["no no no no no no"], max_tokens=99)[0].shape == (1, 5)
    assert tokenizer.count("no no no no no no") == 8  # counted before any cut
    assert tokenizer(["no no no no no no"])[0].shape == (1, 5)


def test_case_follows_the_published_setting(tmp_path):
    assert read_tokenizer(a_folder(tmp_path), 9).pieces("Heart") == ["[CLS]", "heart", "[SEP]"]
    cased = read_tokenizer(a_folder(tmp_path, do_lower_case=False), 9)
    assert cased.pieces("Heart effusions") == ["[CLS]", "Heart", "effusion", "##s", "[SEP]"]


def test_no_texts_give_an_empty_batch(tmp_path):
    ids, mask = read_tokenizer(a_folder(tmp_path), 9)([])
    assert ids.shape == mask.shape == (0, 0)


def test_non_latin_text_is_unknown_words_not_an_error(tmp_path):
    assert read_tokenizer(a_folder(tmp_path), 9).pieces("胸 \u202e x\x00") == [
        "[CLS]",
        "[UNK]",
        "[UNK]",
        "[SEP]",
    ]


def test_a_saved_tokenizer_reads_back(tmp_path):
    tokenizer = read_tokenizer(a_folder(tmp_path), 9)
    tokenizer(["no"], max_tokens=3)
    out = tmp_path / "out"
    out.mkdir()
    tokenizer.save(out)
    again = read_tokenizer(out, 9)
    assert torch.equal(again(["no effusions heart."])[0], tokenizer(["no effusions heart."])[0])


def test_a_folder_without_a_tokenizer_is_refused(tmp_path):
    with pytest.raises(
        CheckpointError, match=r"no tokenizer\.json or vocab\.txt; add the encoder's tokenizer"
    ):
        read_tokenizer(tmp_path, 9)


def test_clip_vocabularies_equal_transformers(tmp_path):
    transformers = pytest.importorskip("transformers")
    letters = "abcdefghijklmnopqrstuvwxyz.,'0123456789é"
    words = [*letters, *(f"{c}</w>" for c in letters), "no</w>", "he", "hea", "heart</w>", "rt</w>"]
    words += ["<|startoftext|>", "<|endoftext|>", "Ã", "Â©", "©", "©</w>"]
    (tmp_path / "vocab.json").write_text(json.dumps({word: i for i, word in enumerate(dict.fromkeys(words))}))
    merges = ["n o</w>", "h e", "he a", "r t</w>", "hea rt</w>"]
    (tmp_path / "merges.txt").write_text("\n".join(["#version: 0.2", *merges]))
    reference = transformers.CLIPTokenizerFast(str(tmp_path / "vocab.json"), str(tmp_path / "merges.txt"))
    tokenizer = read_tokenizer(tmp_path, 77)
    for text in ("No heart", "it's  12.5, CAFÉ", "", "heart" * 40):
        assert tokenizer.ids([text]) == [reference(text, truncation=True, max_length=77)["input_ids"]]


def test_hashed_words_are_stable_and_inside_the_vocabulary():
    tokenizer = HashTokenizer(50, 8)
    ids, mask = tokenizer(["No effusion.", "no EFFUSION .", "x " * 30])
    assert torch.equal(ids[0], ids[1])
    assert mask.sum(1).tolist() == [5, 5, 8]
    assert int(ids.max()) < 50
    assert tokenizer.count("x " * 30) == 32
    assert tokenizer.pieces("No.") == ["[CLS]", "no", ".", "[SEP]"]


def test_threads_share_a_tokenizer_without_changing_each_others_cut(tmp_path):
    tokenizer = read_tokenizer(a_folder(tmp_path), 8)
    text = "no effusions. " * 40

    def work(number):
        for _ in range(30):
            if number % 2:
                assert tokenizer.count(text) == len(tokenizer.pieces(text)) == 162
            else:
                assert [len(row) for row in tokenizer.ids([text] * 20, 5 + number % 3)] == [
                    5 + number % 3
                ] * 20
        return True

    with ThreadPoolExecutor(6) as pool:
        assert all(pool.map(work, range(6)))
