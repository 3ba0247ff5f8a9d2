// Package text turns sentences into the ids a translation model reads and back, and scores translations.
//
// A [Model] is a SentencePiece model file. It encodes with all four model types of that format (BPE, unigram, word, char),
// with the normalizer stored in the file, byte fallback, user-defined symbols and white space as prefix or suffix; its
// answers are those of the sentencepiece library 0.2.3, id for id. It does not train, sample or list n-best encodings.
//
//	m, err := text.Load("spm.model")
//	ids := m.Encode("Two dogs play.")   // without end of sentence; append m.EOS() where the model wants one
//	back := m.Decode(ids)
//
// Versions of that library differ: here, as in 0.2.3, text that spells a control piece is ordinary text, and a user-defined
// symbol of a unigram model scores 0.1 per byte after the first. A text may have up to 1 GiB.
//
// [BLEU] and [CHRF] compute corpus scores as sacrebleu 2.6.0 does with its default options, with its signature strings.
//
// The package knows nothing of graphs and tensors: it imports the standard library and the protobuf wire format only.
package text
