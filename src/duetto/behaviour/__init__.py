"""A model's behaviour as a table of tests that pass, fail or cannot be decided.

    model + labelled utterances ─ recordings.choose ─▶ Chosen (a stratified part, seeded)
    Chosen ─ answers.Answers ─▶ SystemResult under each of conditions.CONDITIONS (kept on disk, resumable)
           ─ correctness · fairness · robustness · calibration · rejection ─▶ list[Outcome]
    list[Outcome] ─ suite.run ─▶ Tested ─ pages ─▶ tests.json, tests.html, a section of a model card

After audEERING's tests of speech emotion models (Derington, Wierstorf, Özkil, Eyben, Burkhardt and Schuller, "Testing
Correctness, Fairness, and Robustness of Speech Emotion Recognition Models", arXiv:2312.06270) and CheckList (Ribeiro,
Wu, Guestrin and Singh, "Beyond Accuracy: Behavioral Testing of NLP Models with CheckList", ACL 2020). Unlike there, a
test passes or fails only where its whole 95% interval lies on one side of the limit.
"""
