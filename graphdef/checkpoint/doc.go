// Package checkpoint reads and writes TensorFlow's checkpoints of version 2: an index PREFIX.index and data files
// PREFIX.data-00000-of-00001, as tf.train.Saver, tf.train.Checkpoint and SavedModels have them.
//
//	r, err := checkpoint.Open("model.ckpt-1000")
//	for _, name := range r.Keys() {
//		t, err := r.Tensor(name)
//
// Opening a checkpoint reads its index only. Data files are mapped, and the elements of a tensor are shared with the file. All
// checksums are checked. Partitioned tensors are put together; checkpoints of version 1 are refused with what to do.
package checkpoint
