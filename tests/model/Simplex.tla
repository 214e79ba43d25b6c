------------------------------- MODULE Simplex -------------------------------
(* The voting rules of the consensus core, for TLC: what an honest validator may sign, and what must never follow from it.
   Rules and lemmas are those of docs/reliability.md; Python names them in consensus/simplex.

   What is left out, and why nothing is lost for safety:
   - Messages. Votes are a growing set; whoever acts on a certificate may do so at any later time, or never. So every loss,
     delay, order and partition of the network is a behaviour of the model.
   - Leaders. Every view may have two blocks, proposed by anyone, with any parent. An honest leader is one of these cases.
   - Byzantine validators. They vote for everything: a certificate needs Quorum - Byzantine votes of others.
   - The current view of a node. A node may vote in any view that some certificate opened to it, in any order: more than the
     core allows.
   - Time and transactions, which no rule of safety reads. *)
EXTENDS Naturals, FiniteSets, TLC

CONSTANTS
    Nodes,            \* validators that run the rules
    First, Second,    \* members among Nodes in epoch 1 and in epoch 2
    Byzantine,        \* number of validators, beside these, that do not
    Quorum,           \* votes of a certificate
    Views,            \* views 1 .. Views of each epoch
    Epochs,           \* 1 or 2
    Boundary,         \* blocks of epoch 1 up to and with its boundary block
    Wipes,            \* how often a node may lose its log
    Without,          \* rules that are left out on purpose: mutants of the model
    InOrder           \* TRUE: nodes vote only in the order of the core, for traces that the core replays

ASSUME Epochs \in {1, 2} /\ First \subseteq Nodes /\ Second \subseteq Nodes

Blocks == {1, 2}                  \* the blocks of one view
Places == (1 .. Epochs) \X (1 .. Views)
Nowhere == <<0, 9>>               \* the parent of a block that does not exist yet
Root == <<0, 0>>                  \* view 0: genesis, or in epoch 2 the boundary block (`base` says which)

VARIABLES
    sent,      \* every vote that ever left each node
    known,     \* the votes that a node's log holds: those sent, unless it was wiped
    parent,    \* of each block (epoch, view, block): view and block of its parent in the epoch
    ground,    \* of each block of epoch 2 on view 0: which block of epoch 1 it stands on
    base,      \* of each node: the boundary block with which it began epoch 2; Nowhere before
    held,      \* nodes that lost their log and may not vote yet
    asked,     \* of a held node: the members that answered it since, with the highest view each had voted in
    floor,     \* of each node: no vote in views up to this one, of the epoch it was re-admitted in
    wiped      \* how many logs were lost

vars == <<sent, known, parent, ground, base, held, asked, floor, wiped>>

Members(e) == IF e = 1 THEN First ELSE Second
Rule(name) == name \notin Without

-----------------------------------------------------------------------------
(* Certificates. `Quorum` counts all members; Byzantine ones sign whatever is asked. *)

Reached(who) == Cardinality(who) + Byzantine >= Quorum
Voters(e, vote) == {n \in Members(e) : vote \in sent[n]}
Notarized(e, v, b) == Reached(Voters(e, <<"notarize", e, v, b>>))
Nullified(e, v) == Reached(Voters(e, <<"nullify", e, v, 0>>))
Finalized(e, v, b) == Reached(Voters(e, <<"finalize", e, v, b>>))

Exists(e, v, b) == parent[<<e, v, b>>] # Nowhere

(* A view is open to those who hold a certificate of the view before it. *)
Open(e, v) ==
    IF v = 1 THEN TRUE
    ELSE IF Nullified(e, v - 1) THEN TRUE
    ELSE \E b \in Blocks : Exists(e, v - 1, b) /\ Notarized(e, v - 1, b)

(* What makes a parent good: notarized itself, and every view between nullified. *)
Justified(e, v, p) ==
    /\ p[1] < v
    /\ IF p = Root THEN TRUE ELSE Rule("parent notarized") => Notarized(e, p[1], p[2])
    /\ IF Rule("skipped nullified") THEN \A w \in (p[1] + 1) .. (v - 1) : Nullified(e, w) ELSE TRUE

Parents(e, v) == {Root} \cup {<<w, b>> \in (1 .. (v - 1)) \X Blocks : Exists(e, w, b)}

-----------------------------------------------------------------------------
(* Chains. *)

RECURSIVE Chain(_, _, _)
Chain(e, v, b) == {<<v, b>>} \cup IF parent[<<e, v, b>>][1] = 0 THEN {} ELSE Chain(e, parent[<<e, v, b>>][1], parent[<<e, v, b>>][2])

Depth(v, b) == Cardinality(Chain(1, v, b))

(* The boundary block under a block of epoch 1 that is at least as deep; blocks above it are closing blocks. *)
BoundaryUnder(v, b) == CHOOSE block \in Chain(1, v, b) : Depth(block[1], block[2]) = Boundary

(* Blocks of epoch 1 that show that their boundary block may not change any more. *)
Ends == {<<v, b>> \in (1 .. Views) \X Blocks :
            /\ Exists(1, v, b)
            /\ Depth(v, b) >= Boundary
            /\ IF Rule("boundary final") THEN Finalized(1, v, b) ELSE Notarized(1, v, b)}

-----------------------------------------------------------------------------
(* For replays alone: what the core adds to the rules. It notarizes and nullifies only in the view that it is in, and at once
   finalizes what it sees notarized. A certificate is seen where something rests on it: a parent, or the way into a view. *)

VotedIn(n, e) == {v \in 1 .. Views : \E vote \in known[n] : vote[2] = e /\ vote[3] = v}

Settled(n, e, v) ==
    \A b \in Blocks : Exists(e, v, b) /\ Notarized(e, v, b) =>
        \/ <<"finalize", e, v, b>> \in known[n]
        \/ <<"nullify", e, v, 0>> \in known[n]
        \/ \E other \in Blocks \ {b} : <<"notarize", e, v, other>> \in known[n]

Ordered(n, e, v) ==
    IF InOrder THEN
        /\ \A w \in VotedIn(n, e) : w <= v
        /\ \A b \in Blocks : <<"finalize", e, v, b>> \notin known[n]
        /\ IF v = 1 THEN TRUE ELSE IF Nullified(e, v - 1) THEN TRUE ELSE Settled(n, e, v - 1)
    ELSE TRUE

Rested(n, e, p) == IF InOrder /\ p # Root THEN Settled(n, e, p[1]) ELSE TRUE

-----------------------------------------------------------------------------
(* Voting. *)

EpochOf(n) == IF base[n] = Nowhere THEN 1 ELSE 2

MayVote(n, e, v) ==
    /\ e = EpochOf(n)
    /\ n \in Members(e)
    /\ IF Rule("hold") THEN n \notin held ELSE TRUE
    /\ v > floor[n]
    /\ Open(e, v)

Sign(n, vote) ==
    /\ vote \notin known[n]
    /\ sent' = [sent EXCEPT ![n] = @ \cup {vote}]
    /\ known' = [known EXCEPT ![n] = @ \cup {vote}]

Unchanged == UNCHANGED <<base, held, asked, floor, wiped>>

(* R1. The first to notarize a block also makes it: whoever led, this is the block it sent. *)
Notarize(n, e, v, b) ==
    /\ MayVote(n, e, v)
    /\ Ordered(n, e, v)
    /\ IF Rule("one notarize") THEN \A other \in Blocks : <<"notarize", e, v, other>> \notin known[n] ELSE TRUE
    /\ IF Rule("no notarize after nullify") THEN <<"nullify", e, v, 0>> \notin known[n] ELSE TRUE
    /\ \/ /\ Exists(e, v, b)
          /\ Justified(e, v, parent[<<e, v, b>>])
          /\ Rested(n, e, parent[<<e, v, b>>])
          /\ IF e = 2 THEN ground[<<v, b>>] = base[n] ELSE TRUE
          /\ UNCHANGED <<parent, ground>>
       \/ /\ ~Exists(e, v, b)
          /\ IF b = 2 THEN Exists(e, v, 1) ELSE TRUE      \* the two blocks of a view are alike: the first one is 1
          /\ \E p \in Parents(e, v) :
                /\ Justified(e, v, p)
                /\ Rested(n, e, p)
                /\ IF e = 2 /\ p # Root THEN ground[p] = base[n] ELSE TRUE
                /\ parent' = [parent EXCEPT ![<<e, v, b>>] = p]
          /\ ground' = IF e = 2 THEN [ground EXCEPT ![<<v, b>>] = base[n]] ELSE ground
    /\ Sign(n, <<"notarize", e, v, b>>)
    /\ Unchanged

(* R5. *)
Nullify(n, e, v) ==
    /\ MayVote(n, e, v)
    /\ Ordered(n, e, v)
    /\ IF Rule("nullify or finalize") THEN \A b \in Blocks : <<"finalize", e, v, b>> \notin known[n] ELSE TRUE
    /\ Sign(n, <<"nullify", e, v, 0>>)
    /\ Unchanged
    /\ UNCHANGED <<parent, ground>>

(* R2. *)
Finalize(n, e, v, b) ==
    /\ MayVote(n, e, v)
    /\ Exists(e, v, b)
    /\ Notarized(e, v, b)
    /\ IF Rule("nullify or finalize") THEN <<"nullify", e, v, 0>> \notin known[n] ELSE TRUE
    /\ IF Rule("finalize what was notarized") THEN \A other \in Blocks \ {b} : <<"notarize", e, v, other>> \notin known[n] ELSE TRUE
    /\ \A other \in Blocks \ {b} : <<"finalize", e, v, other>> \notin known[n]
    /\ IF e = 2 THEN ground[<<v, b>>] = base[n] ELSE TRUE
    /\ Sign(n, <<"finalize", e, v, b>>)
    /\ Unchanged
    /\ UNCHANGED <<parent, ground>>

(* A.8. A node begins epoch 2 with the boundary block that a final block of epoch 1 stands on: itself or a closing block. *)
HandOver(n) ==
    /\ Epochs = 2
    /\ base[n] = Nowhere
    /\ \E block \in Ends : base' = [base EXCEPT ![n] = BoundaryUnder(block[1], block[2])]
    /\ floor' = [floor EXCEPT ![n] = 0]
    /\ asked' = [asked EXCEPT ![n] = {}]
    /\ UNCHANGED <<sent, known, parent, ground, held, wiped>>

-----------------------------------------------------------------------------
(* Amnesia (A.6). A wiped node has the chain from others but not its votes. It waits until q other members have told how far
   they are, and then for a final block beyond all of that. *)

HighestVoted(n, e) ==
    LET voted == {v \in 1 .. Views : \E vote \in known[n] : vote[2] = e /\ vote[3] = v}
    IN IF voted = {} THEN 0 ELSE CHOOSE v \in voted : \A w \in voted : w <= v

Wipe(n) ==
    /\ wiped < Wipes
    /\ n \notin held
    /\ wiped' = wiped + 1
    /\ known' = [known EXCEPT ![n] = {}]
    /\ held' = held \cup {n}
    /\ asked' = [asked EXCEPT ![n] = {}]
    /\ floor' = [floor EXCEPT ![n] = 0]
    /\ UNCHANGED <<sent, parent, ground, base>>

(* The lowest view that a member can truthfully claim is the highest that it has voted in. One of another epoch counts 0. *)
Answer(n, m) ==
    /\ n \in held
    /\ m \in Members(EpochOf(n)) \ {n}
    /\ m \notin held
    /\ \A entry \in asked[n] : entry[1] # m
    /\ asked' = [asked EXCEPT ![n] = @ \cup {<<m, HighestVoted(m, EpochOf(n))>>}]
    /\ UNCHANGED <<sent, known, parent, ground, base, held, floor, wiped>>

(* Byzantine members answer too, and say that they have not begun. *)
Readmit(n) ==
    LET e == EpochOf(n)
        highest == IF asked[n] = {} THEN 0 ELSE (CHOOSE entry \in asked[n] : \A other \in asked[n] : other[2] <= entry[2])[2]
    IN
    /\ n \in held
    /\ Cardinality(asked[n]) + Byzantine >= Quorum
    /\ \E v \in (highest + 1) .. Views, b \in Blocks : Exists(e, v, b) /\ Finalized(e, v, b)
    /\ held' = held \ {n}
    /\ floor' = [floor EXCEPT ![n] = highest + 1]
    /\ asked' = [asked EXCEPT ![n] = {}]
    /\ UNCHANGED <<sent, known, parent, ground, base, wiped>>

-----------------------------------------------------------------------------

Init ==
    /\ sent = [n \in Nodes |-> {}]
    /\ known = [n \in Nodes |-> {}]
    /\ parent = [block \in {<<place[1], place[2], b>> : place \in Places, b \in Blocks} |-> Nowhere]
    /\ ground = [block \in (1 .. Views) \X Blocks |-> Nowhere]
    /\ base = [n \in Nodes |-> Nowhere]
    /\ held = {}
    /\ asked = [n \in Nodes |-> {}]
    /\ floor = [n \in Nodes |-> 0]
    /\ wiped = 0

Next ==
    \E n \in Nodes :
        \/ \E place \in Places : LET e == place[1] v == place[2] IN
            \/ \E b \in Blocks : Notarize(n, e, v, b) \/ Finalize(n, e, v, b)
            \/ Nullify(n, e, v)
        \/ HandOver(n)
        \/ Wipe(n)
        \/ \E m \in Nodes : Answer(n, m)
        \/ Readmit(n)

Spec == Init /\ [][Next]_vars

-----------------------------------------------------------------------------
(* L1: one notarized block in a view. L2: no view is both final and nullified. *)
OneNotarized == \A place \in Places : ~(Notarized(place[1], place[2], 1) /\ Notarized(place[1], place[2], 2))

NotBoth == \A place \in Places : Nullified(place[1], place[2]) => \A b \in Blocks : ~Finalized(place[1], place[2], b)

(* L3: what is notarized behind a final block stands on it. *)
Agreement ==
    \A e \in 1 .. Epochs : \A v \in 1 .. Views : \A b \in Blocks :
        Exists(e, v, b) /\ Finalized(e, v, b) =>
            \A w \in v .. Views : \A c \in Blocks :
                Exists(e, w, c) /\ Notarized(e, w, c) => <<v, b>> \in Chain(e, w, c)

(* Epochs: all begin the second one on the same block, which stands in every final chain of the first. *)
OneBoundary ==
    \A n, m \in Nodes : base[n] # Nowhere /\ base[m] # Nowhere => base[n] = base[m]

OnBoundary ==
    \A n \in Nodes : base[n] # Nowhere =>
        \A v \in 1 .. Views : \A b \in Blocks :
            Exists(1, v, b) /\ Finalized(1, v, b) =>
                <<v, b>> \in Chain(1, base[n][1], base[n][2]) \/ base[n] \in Chain(1, v, b)

(* No honest node ever signs what is evidence against it. *)
NoEvidence ==
    \A n \in Nodes : \A place \in Places : LET e == place[1] v == place[2] IN
        /\ ~(<<"notarize", e, v, 1>> \in sent[n] /\ <<"notarize", e, v, 2>> \in sent[n])
        /\ ~(<<"finalize", e, v, 1>> \in sent[n] /\ <<"finalize", e, v, 2>> \in sent[n])
        /\ ~(<<"nullify", e, v, 0>> \in sent[n] /\ \E b \in Blocks : <<"finalize", e, v, b>> \in sent[n])

Symmetric == Permutations(Nodes)
=============================================================================
