"""Are our ranks right? CoDEx-S with PyKEEN's evaluator on the same scores, rank for rank, and the MRR beside the published one.

    python benchmarks/codex_s.py ../shared/benchmarks/codex-s [--model complex|transe] [--epochs 100] [--json]

Needs the extra `baselines` (PyKEEN). Published, filtered, both sides (Safavi and Koutra 2020): ComplEx .465, TransE .354, after a search over settings; one setting
is trained here, so the MRR comes near that. The ranks must agree exactly.
"""
import argparse, json, time
from pathlib import Path
import numpy as np
import torch
from pykeen.evaluation.ranks import Ranks
from pykeen.losses import CrossEntropyLoss
from pykeen.models import ComplEx, TransE
from pykeen.training import LCWATrainingLoop
from pykeen.triples import TriplesFactory
from graphmer_se.evaluation.ranking import mean_reciprocal_rank, realistic_rank

PUBLISHED = dict(complex=.465, transe=.354)

def both_ranks(model, known:torch.Tensor, test:torch.Tensor, batch:int=256)->tuple[np.ndarray, np.ndarray]:
    "Ranks (test, 2) of heads and tails among all entities, other known answers taken out: ours and PyKEEN's, from the same scores."
    ours, theirs = np.zeros((2, len(test), 2))
    for side, score, given, asked in ((0, model.predict_h, [1, 2], 0), (1, model.predict_t, [0, 1], 2)):
        answers = {}
        for row in known.numpy(): answers.setdefault(tuple(row[given]), []).append(row[asked])
        for start in range(0, len(test), batch):
            part = test[start:start+batch]
            with torch.no_grad(): scores = score(part[:, given])
            right = part[:, asked]
            others = torch.zeros_like(scores, dtype=torch.bool)
            for i, row in enumerate(part.numpy()): others[i, answers[tuple(row[given])]] = True
            others[torch.arange(len(part)), right] = False
            true = scores.gather(1, right[:, None])
            theirs[start:start+batch, side] = Ranks.from_scores(true, scores.masked_fill(others, float('nan'))).realistic.numpy()
            ours[start:start+batch, side] = [realistic_rank(s, int(r), o) for s, r, o in zip(scores.numpy(), right, others.numpy())]
    return ours, theirs

def main():
    arguments = argparse.ArgumentParser(description=__doc__.split('\n')[0])
    arguments.add_argument('data', type=Path)
    arguments.add_argument('--model', choices=PUBLISHED, default='complex')
    arguments.add_argument('--epochs', type=int, default=100)
    arguments.add_argument('--json', action='store_true')
    a = arguments.parse_args()
    train = TriplesFactory.from_path(a.data/'train.txt', create_inverse_triples=True)
    valid, test = (TriplesFactory.from_path(a.data/f'{n}.txt', entity_to_id=train.entity_to_id, relation_to_id=train.relation_to_id) for n in ('valid', 'test'))
    kind = dict(complex=ComplEx, transe=TransE)[a.model]
    model = kind(triples_factory=train, embedding_dim=256, random_seed=0, loss=CrossEntropyLoss(), entity_initializer='xavier_normal', relation_initializer='xavier_normal')
    began = time.time()
    LCWATrainingLoop(model=model, triples_factory=train, optimizer=torch.optim.Adam(model.parameters(), lr=1e-3)).train(train, num_epochs=a.epochs, batch_size=512, use_tqdm=False)
    model.eval()
    ours, theirs = both_ranks(model, torch.cat([f.mapped_triples for f in (train, valid, test)]), test.mapped_triples)
    found = dict(model=a.model, epochs=a.epochs, seconds=round(time.time()-began), questions=ours.size, equal=int((ours==theirs).sum()), mrr_ours=mean_reciprocal_rank(ours), mrr_pykeen=mean_reciprocal_rank(theirs), mrr_published=PUBLISHED[a.model])
    print(json.dumps(found) if a.json else '\n'.join(f'{k:14} {v}' for k, v in found.items()))
    raise SystemExit(0 if found['equal']==found['questions'] else 1)

if __name__=='__main__': main()
