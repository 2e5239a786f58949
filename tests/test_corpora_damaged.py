"""Text files of corpora, damaged: each is read, or refused by an error that names it."""

from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from corpus_trees import LAYOUTS, MINI, WDSEG, evaluation, iemocap, transcription, write
from damaged import damaged
from duetto.corpora import CORPORA, validate
from duetto.errors import CorpusError

DIALOG = "Ses01F_impro01"
TURNS = MINI[DIALOG]
GRID = '"ooTextFile"\n"TextGrid"\n0 1 <exists> 1\n"IntervalTier" "words" 0 1 2\n0 0.5 "oh"\n0.5 1 "<unk>"\n'
FILES = {
    ("iemocap", f"Session1/dialog/EmoEvaluation/{DIALOG}.txt"): evaluation(TURNS),
    ("iemocap", f"Session1/dialog/transcriptions/{DIALOG}.txt"): transcription(TURNS),
    ("iemocap", f"Session1/sentences/ForcedAlignment/{DIALOG}/{TURNS[0][0]}.wdseg"): WDSEG,
    ("synthetic", "SYNTHETIC.json"): '{"synthetic": true, "utterances": {"a": {"emotion": "sad"}}, "size": 1}',
    ("ljspeech", "metadata.csv"): "LJ001-0001|Oh no|oh no\nLJ001-0002|2 cats|two cats\n",
    ("librispeech", "SPEAKERS.TXT"): "; comment\n84 | F | dev-clean | 8.02 | Christie Nowak\n",
    ("librispeech", "84/121123/84-121123.trans.txt"): "84-121123-0000 GO DO YOU HEAR\n84-121123-0001 YES\n",
    ("librispeech", "84/121123/84-121123.alignment.txt"): '84-121123-0000 ",GO,,DO," "0.49,0.89,1.27,1.38,2.09"\n',
    ("librispeech", "84/121123/84-121123-0001.TextGrid"): GRID,
    **{(kind, name): text for kind, files in LAYOUTS.items() for name, text in files.items() if text is not None},
}
"""(kind, file) → its content; the other files of the tree stay whole."""


@pytest.fixture(scope="module")
def trees(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    root = tmp_path_factory.mktemp("trees")
    for kind in {kind for kind, _ in FILES}:
        if kind in ("iemocap", "synthetic"):
            iemocap(root / kind, recordings=False)
    for (kind, name), content in FILES.items():
        write(root / kind / name, content)
    return {kind: root / kind for kind, _ in FILES}


@pytest.mark.parametrize(("kind", "name"), FILES, ids=lambda value: Path(value).name)
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_a_damaged_file_is_read_or_refused(trees: dict[str, Path], kind: str, name: str, data: st.DataObject) -> None:
    path, content = trees[kind] / name, FILES[kind, name].encode()
    path.write_bytes(data.draw(damaged(content)))
    try:
        CORPORA[kind](trees[kind])
    except CorpusError as error:
        assert str(path) in str(error) or str(trees[kind]) in str(error)
    assert all(problem.detail for problem in validate.check(kind, trees[kind], known=False).problems)
    path.write_bytes(content)
