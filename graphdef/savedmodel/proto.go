package savedmodel

import (
	"fmt"

	"google.golang.org/protobuf/encoding/protowire"

	"github.com/tfq8/tfq8/graphdef/internal/wire"
	"github.com/tfq8/tfq8/tensor"
)

// metaGraph is what we read of a MetaGraphDef. Bytes are shared with the file.
type metaGraph struct {
	tags        []string
	graph       []byte // GraphDef
	saver       *saver // nil: there is none
	collections map[string]collection
	signatures  map[string]*signatureDef
	assets      []assetFile
	objects     []byte // SavedObjectGraph
	version     string // of the TensorFlow that wrote it
}

// saver is a SaverDef.
type saver struct{ filename, restore string }

// collection is a CollectionDef: nodes or serialized messages.
type collection struct {
	nodes []string
	bytes [][]byte
}

type signatureDef struct {
	inputs, outputs map[string]*tensorInfo
	method          string
}

// tensorInfo is a TensorInfo; a sparse tensor has three names.
type tensorInfo struct {
	name   string
	sparse [3]string // values, indices, dense shape
	dtype  tensor.DType
	shape  tensor.PartialShape
}

type assetFile struct{ tensor, file string }

// mapEntry reads an entry of a map from strings to messages or strings.
func mapEntry(b []byte) (key string, value []byte, err error) {
	err = wire.EachField(b, func(num protowire.Number, _ uint64, raw []byte) error {
		switch num {
		case 1:
			key = string(raw)
		case 2:
			value = raw
		}
		return nil
	})
	return key, value, err
}

// readSavedModel returns the meta graphs of a SavedModel message.
func readSavedModel(b []byte) ([]*metaGraph, error) {
	var graphs []*metaGraph
	err := wire.EachField(b, func(num protowire.Number, _ uint64, raw []byte) error {
		if num != 2 || raw == nil {
			return nil
		}
		m, err := readMetaGraph(raw)
		graphs = append(graphs, m)
		return err
	})
	if err == nil && len(graphs) == 0 {
		err = fmt.Errorf("the SavedModel holds no meta graph; the file may be of another form")
	}
	return graphs, err
}

func readMetaGraph(b []byte) (*metaGraph, error) {
	m := &metaGraph{collections: map[string]collection{}, signatures: map[string]*signatureDef{}}
	err := wire.EachField(b, func(num protowire.Number, _ uint64, raw []byte) (err error) {
		switch num {
		case 1:
			return wire.EachField(raw, func(num protowire.Number, _ uint64, raw []byte) error {
				switch num {
				case 4:
					m.tags = append(m.tags, string(raw))
				case 5:
					m.version = string(raw)
				}
				return nil
			})
		case 2:
			m.graph = raw
		case 3:
			m.saver = &saver{}
			return wire.EachField(raw, func(num protowire.Number, _ uint64, raw []byte) error {
				switch num {
				case 1:
					m.saver.filename = string(raw)
				case 3:
					m.saver.restore = string(raw)
				}
				return nil
			})
		case 4:
			var key string
			var value []byte
			if key, value, err = mapEntry(raw); err == nil {
				m.collections[key], err = readCollection(value)
			}
		case 5:
			var key string
			var value []byte
			if key, value, err = mapEntry(raw); err == nil {
				m.signatures[key], err = readSignature(value)
			}
		case 6:
			var a assetFile
			a, err = readAsset(raw)
			m.assets = append(m.assets, a)
		case 7:
			m.objects = raw
		}
		return err
	})
	if err != nil {
		return nil, err
	}
	if len(m.assets) == 0 {
		// TensorFlow 1 lists assets in a collection of google.protobuf.Any only.
		for _, any := range m.collections["saved_model_assets"].bytes {
			_, value, err := mapEntry(any)
			if err != nil {
				return nil, err
			}
			a, err := readAsset(value)
			if err != nil {
				return nil, err
			}
			m.assets = append(m.assets, a)
		}
	}
	return m, nil
}

// readCollection decodes a CollectionDef: node_list, bytes_list or any_list.
func readCollection(b []byte) (collection, error) {
	var c collection
	err := wire.EachField(b, func(kind protowire.Number, _ uint64, raw []byte) error {
		if raw == nil {
			return nil
		}
		return wire.EachField(raw, func(num protowire.Number, _ uint64, raw []byte) error {
			switch {
			case num != 1:
			case kind == 1:
				c.nodes = append(c.nodes, string(raw))
			case kind == 2 || kind == 5:
				c.bytes = append(c.bytes, raw)
			}
			return nil
		})
	})
	return c, err
}

func readSignature(b []byte) (*signatureDef, error) {
	s := &signatureDef{inputs: map[string]*tensorInfo{}, outputs: map[string]*tensorInfo{}}
	err := wire.EachField(b, func(num protowire.Number, _ uint64, raw []byte) error {
		switch num {
		case 1, 2:
			key, value, err := mapEntry(raw)
			if err != nil {
				return err
			}
			info, err := readTensorInfo(value)
			if num == 1 {
				s.inputs[key] = info
			} else {
				s.outputs[key] = info
			}
			return err
		case 3:
			s.method = string(raw)
		}
		return nil
	})
	return s, err
}

func readTensorInfo(b []byte) (*tensorInfo, error) {
	info := &tensorInfo{}
	err := wire.EachField(b, func(num protowire.Number, v uint64, raw []byte) (err error) {
		switch num {
		case 1:
			info.name = string(raw)
		case 2:
			info.dtype = tensor.DType(int32(v))
		case 3:
			info.shape, err = readShape(raw)
		case 4:
			return wire.EachField(raw, func(num protowire.Number, _ uint64, raw []byte) error {
				if num >= 1 && num <= 3 {
					info.sparse[num-1] = string(raw)
				}
				return nil
			})
		}
		return err
	})
	return info, err
}

// maxRank bounds the dimensions of a shape.
const maxRank = 254

func readShape(b []byte) (tensor.PartialShape, error) {
	dims, unknown := []int{}, false
	err := wire.EachField(b, func(num protowire.Number, v uint64, raw []byte) error {
		switch num {
		case 2:
			size := int64(0)
			err := wire.EachField(raw, func(num protowire.Number, v uint64, _ []byte) error {
				if num == 1 {
					size = int64(v)
				}
				return nil
			})
			if err != nil {
				return err
			}
			if size < 0 || int64(int(size)) != size {
				size = tensor.UnknownDim
			}
			if len(dims) == maxRank {
				return fmt.Errorf("a shape has too many dimensions")
			}
			dims = append(dims, int(size))
		case 3:
			unknown = v != 0
		}
		return nil
	})
	if unknown {
		return tensor.PartialShape{}, err
	}
	return tensor.Partial(dims...), err
}

func readAsset(b []byte) (assetFile, error) {
	var a assetFile
	err := wire.EachField(b, func(num protowire.Number, _ uint64, raw []byte) error {
		switch num {
		case 1:
			info, err := readTensorInfo(raw)
			a.tensor = info.name
			return err
		case 2:
			a.file = string(raw)
		}
		return nil
	})
	return a, err
}
