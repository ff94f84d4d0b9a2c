"""How fast a training step is, beside Hugging Face's BERT of the same size and beside the matrix products that it consists of.

    python benchmarks/training.py [--size small] [--length 512 1024] [--tokens 4096] [--repeats 5] [--threads 1] [--source FOLDER] [--json]

A step is forward, backward and optimizer over the same number of tokens, all of them real, a share of them hidden. Every contender takes its turn in every round, so that a machine that
slows down slows all of them; the median of the rounds is printed. Contenders:

- ours: the encoder with the learned relation bias, bf16 autocast where the processor has it, fused AdamW, logits at hidden positions only;
- hf-default: BertForMaskedLM as a user gets it: float32, AdamW, eager attention, dropout, logits everywhere;
- hf-best: the same model with bf16 autocast, scaled-dot-product attention, no dropout, fused AdamW;
- ceiling: the step's matrix products alone (three times those of the forward pass), in bf16.

Two more figures: what packing buys (chains of 128 roots with a quarter of their seven leaf slots filled, packed, beside the fixed grid of 128 x 8 slots that GraphMERT uses: useful
tokens a second), and how much faster than the trainer one thread makes batches, from the code in `--source` (this package when left out).

Needs `transformers` (pip install transformers), which nothing else here does; base at 1,024 tokens wants 22 GB of free memory, most of it for Hugging Face's default.
"""
import argparse, json, os, statistics, sys, time
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
import numpy as np
import torch
from graphmer_se.core import keep_memory, native_bf16, root
from graphmer_se.kg.build import Repository, build
from graphmer_se.model.batches import Cursor, MaskConfig
from graphmer_se.model.chains import build_chains
from graphmer_se.model.encoder import Encoder, encoder_config
from graphmer_se.model.objectives import masked_loss
from graphmer_se.model.symbols import candidates_of
from graphmer_se.model.tokens import train_tokenizer
from graphmer_se.model.training import Reader, TrainConfig, autocast, make_optimizer

VOCABULARY,HIDDEN_SHARE = 8192,.15

def batch_of(rows:int, length:int, leaf_share:float=.25)->dict:
    "Rows of one chain each: a chain of roots, and leaf groups of three at the end of it."
    rng = np.random.default_rng(0)
    leaves = int(length*leaf_share)//3*3
    roots = length-leaves
    root = np.concatenate([np.arange(roots),np.repeat(np.sort(rng.integers(0,roots,leaves//3)),3)])
    leaf = (np.arange(length)>=roots).astype(np.int64)
    group = np.where(leaf>0,(np.arange(length)-roots)//3+1,0)
    one = dict(root=root,leaf=leaf,group=group,slot=np.where(leaf>0,(np.arange(length)-roots)%3,0),relation=np.where(leaf>0,group%20+1,0),chain=np.ones(length,np.int64))
    found = {k:torch.from_numpy(np.tile(v,(rows,1))) for k,v in one.items()}
    found['ids'] = torch.from_numpy(rng.integers(0,VOCABULARY,(rows,length)))
    hidden = torch.from_numpy(rng.random((rows,length))<HIDDEN_SHARE)
    return found|dict(labels=torch.where(hidden,found['ids'],-100))

def gridded(chains:int, per_row:int)->dict:
    "Chains of 128 roots with 224 leaf tokens: `per_row` to a row without a gap, or, when that is 0, each on a grid of 1,024 slots."
    one = batch_of(1,352,leaf_share=224/352)
    many,width = (chains//per_row,352*per_row) if per_row else (chains,1024)
    found = {k:torch.zeros(many,width,dtype=torch.long) for k in one}|dict(labels=torch.full((many,width),-100))
    for i in range(chains):
        row,place = divmod(i,per_row or 1)
        for k in one: found[k][row,place*352:(place+1)*352] = one[k][0]
        found['chain'][row,place*352:(place+1)*352] = place+1
    return found

def pipeline(source:Path|None, seconds:float=5.)->float:
    "Tokens a second of ready batches, candidates included, from one thread."
    source = source or root()/'graphmer_se'
    kg = build([Repository('source','0','unknown',source)])
    tokenizer = train_tokenizer([p.read_text(errors='replace') for p in sorted(source.rglob('*.py'))],VOCABULARY)
    chains = build_chains(kg,tokenizer,lambda repository,file: (source/file).read_bytes())
    reader,cursor,tokens,began,step = Reader(chains,np.arange(len(chains)),candidates_of(kg),TrainConfig(length=512),MaskConfig()),Cursor(),0,time.perf_counter(),0
    while time.perf_counter()-began<seconds:
        reading = reader(step,cursor)
        tokens,cursor,step = tokens+int((reading.batch.chain>0).sum()),reading.cursor,step+1
    return tokens/(time.perf_counter()-began)

def ours(size:str, batch:dict, precision:str):
    model = Encoder(encoder_config(size,vocabulary=VOCABULARY)).train()
    optimizer = make_optimizer(model,TrainConfig())
    def step():
        with autocast(precision): loss = masked_loss(model,model(batch),batch['labels'])[0]
        optimizer.zero_grad(set_to_none=True); loss.backward(); optimizer.step()
    return step

def hugging_face(size:str, batch:dict, precision:str, best:bool):
    try: from transformers import BertConfig, BertForMaskedLM
    except ImportError: sys.exit('this benchmark compares with transformers: pip install transformers')
    c = encoder_config(size)
    config = BertConfig(vocab_size=VOCABULARY,hidden_size=c.hidden,num_hidden_layers=c.layers,num_attention_heads=c.heads,intermediate_size=c.feed_forward,
                        max_position_embeddings=max(512,batch['ids'].shape[1]),**(dict(hidden_dropout_prob=0.,attention_probs_dropout_prob=0.) if best else {}))
    config._attn_implementation = 'sdpa' if best else 'eager'
    model = BertForMaskedLM(config).train()
    optimizer = torch.optim.AdamW(model.parameters(),fused=True) if best else torch.optim.AdamW(model.parameters())
    def step():
        with torch.autocast('cpu',torch.bfloat16,enabled=best and precision=='bf16'): loss = model(input_ids=batch['ids'],labels=batch['labels']).loss
        optimizer.zero_grad(); loss.backward(); optimizer.step()
    return step

def ceiling(size:str, batch:dict, precision:str):
    "The matrix products of a step: those of the forward pass, three times."
    c,(rows,length) = encoder_config(size),batch['ids'].shape
    kind = torch.bfloat16 if precision=='bf16' else torch.float32
    n,hidden = rows*length,int((batch['labels']>=0).sum())
    shapes = [(n,c.hidden,3*c.hidden),(n,c.hidden,c.hidden),(n,c.hidden,c.feed_forward),(n,c.feed_forward,c.hidden)]
    pairs = [(torch.randn(a,b,dtype=kind),torch.randn(b,d,dtype=kind)) for a,b,d in shapes]
    q,k = torch.randn(rows*c.heads,length,c.hidden//c.heads,dtype=kind),torch.randn(rows*c.heads,c.hidden//c.heads,length,dtype=kind)
    w,v = torch.randn(rows*c.heads,length,length,dtype=kind),torch.randn(rows*c.heads,length,c.hidden//c.heads,dtype=kind)
    head = torch.randn(hidden,c.hidden,dtype=kind),torch.randn(c.hidden,VOCABULARY,dtype=kind)
    def step():
        for _ in range(3*c.layers):
            for a,b in pairs: a@b
            q@k; w@v
        for _ in range(3): head[0]@head[1]
    return step

def measured(steps:dict, repeats:int)->dict:
    "Median wall and CPU seconds of each step; everybody takes a turn in every round."
    for _ in range(3):            # the allocator settles
        for step in steps.values(): step()
    found = {n:([],[]) for n in steps}
    for _ in range(repeats):
        for name,step in steps.items():
            wall,cpu = time.perf_counter(),time.process_time()
            step()
            found[name][0].append(time.perf_counter()-wall); found[name][1].append(time.process_time()-cpu)
    return {n:dict(wall=statistics.median(w),cpu=statistics.median(c)) for n,(w,c) in found.items()}

def contest(size:str, length:int, tokens:int, precision:str, repeats:int)->dict:
    "Times of all contenders at one length."
    torch.manual_seed(0)
    batch = batch_of(max(1,tokens//length),length)
    times = measured(dict(ours=ours(size,batch,precision),hf_default=hugging_face(size,batch,precision,False),hf_best=hugging_face(size,batch,precision,True),ceiling=ceiling(size,batch,precision)),repeats)
    return {n:dict(t,tokens_per_second=batch['ids'].numel()/t['wall'],ours_is=t['wall']/times['ours']['wall']) for n,t in times.items()}

def grids(size:str, precision:str, repeats:int)->dict:
    "Times of twelve chains on the fixed grid (0), and packed by one and three to a row."
    return measured({n:ours(size,gridded(12,n),precision) for n in (0,1,3)},repeats)

def begin(threads:int):
    torch.set_num_threads(threads)
    keep_memory()     # for everybody

def main():
    p = argparse.ArgumentParser(description=__doc__.split('\n')[0])
    p.add_argument('--size',default='small'); p.add_argument('--length',nargs='+',type=int,default=[512,1024]); p.add_argument('--tokens',type=int,default=4096)
    p.add_argument('--repeats',type=int,default=5); p.add_argument('--threads',type=int,default=1); p.add_argument('--source',type=Path); p.add_argument('--json',action='store_true')
    args = p.parse_args()
    precision = 'bf16' if native_bf16() else 'fp32'
    with ProcessPoolExecutor(1,get_context('spawn'),begin,(args.threads,),max_tasks_per_child=1) as fresh:      # a process for each comparison: what one has kept is no burden to the next
        found = {length:fresh.submit(contest,args.size,length,args.tokens,precision,args.repeats).result() for length in args.length}
        packed,made = fresh.submit(grids,args.size,precision,args.repeats).result(),fresh.submit(pipeline,args.source).result()
    more = dict(packed_over_grid={352*n:packed[0]['wall']/packed[n]['wall'] for n in (1,3)},pipeline_tokens_per_second=made,pipeline_over_trainer=made/found[args.length[0]]['ours']['tokens_per_second'])
    if args.json: return print(json.dumps(dict(size=args.size,precision=precision,threads=args.threads,lengths=found,**more),indent=1))
    print(f'{args.size}, {precision}, {args.threads} thread(s), {os.cpu_count()} cores')
    for length,rows in found.items():
        print(f'length {length}')
        for n,r in rows.items(): print(f'  {n:11} {r["tokens_per_second"]:8,.0f} tokens/s, {r["cpu"]:6.2f} CPU s a step; ours is {r["ours_is"]:.2f} x')
    print(f'packed: {", ".join(f"{x:.2f} x in rows of {n}" for n,x in more["packed_over_grid"].items())} the useful tokens of the fixed grid\nbatches: {made:,.0f} tokens/s from one thread, {more["pipeline_over_trainer"]:.0f} x what the trainer needs')

if __name__=='__main__': main()
