package checkpoint

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"

	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protodesc"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/descriptorpb"

	"github.com/tfq8/tfq8/graphdef"
	"github.com/tfq8/tfq8/graphdef/internal/pbtext"
	"github.com/tfq8/tfq8/graphdef/internal/wire"
)

// partName matches what the files of a checkpoint have behind the prefix.
var partName = regexp.MustCompile(`\.(index|meta|data-\d{5}-of-\d{5})$`)

// Prefix returns the prefix of the checkpoint that path means: path itself, the name of one of the checkpoint's files
// without its ending, or what the file "checkpoint" of a directory (or that file) names as the latest.
func Prefix(path string) (string, error) {
	info, err := os.Stat(path)
	switch {
	case err == nil && info.IsDir():
		return Latest(path)
	case err == nil:
		b, err := head(path)
		if err != nil {
			return "", fmt.Errorf("checkpoint: %w", err)
		}
		if graphdef.Sniff(b) == graphdef.FormCheckpointList {
			return Latest(filepath.Dir(path))
		}
	}
	prefix := partName.ReplaceAllString(path, "")
	if _, err := os.Stat(prefix + ".index"); err != nil {
		if info != nil && prefix == path {
			b, err := graphdef.ReadFile(path)
			if err == nil && graphdef.Sniff(b) == graphdef.FormCheckpoint {
				return "", fmt.Errorf("checkpoint: %s: %w", path, whatTable(b))
			}
		}
		return "", fmt.Errorf("checkpoint: there is no %s.index; give the prefix of a checkpoint, the part of its files' names before .index", prefix)
	}
	return prefix, nil
}

// whatTable says why a table that is not called .index cannot be read.
func whatTable(b []byte) error {
	if _, err := newReader("", b); err != nil {
		return err
	}
	return errors.New("the index of a checkpoint is called PREFIX.index, with its data beside it")
}

// head returns the first bytes of a file.
func head(path string) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	b := make([]byte, 4096)
	n, err := f.Read(b)
	if n == 0 && err != nil {
		return nil, nil
	}
	return b[:n], nil
}

// Latest returns the prefix of the checkpoint that the file "checkpoint" in a directory names as the latest. A path of
// another machine is looked for in the directory itself. Without that file the directory must hold one checkpoint.
func Latest(dir string) (string, error) {
	b, err := os.ReadFile(filepath.Join(dir, "checkpoint"))
	if errors.Is(err, os.ErrNotExist) {
		found, _ := filepath.Glob(filepath.Join(dir, "*.index"))
		if len(found) != 1 {
			return "", fmt.Errorf("checkpoint: %s has no file %q and %d checkpoints; give the prefix of one", dir, "checkpoint", len(found))
		}
		return strings.TrimSuffix(found[0], ".index"), nil
	}
	if err != nil {
		return "", fmt.Errorf("checkpoint: %w", err)
	}
	latest, err := parseState(b)
	if err != nil {
		return "", fmt.Errorf("checkpoint: %s: %w", filepath.Join(dir, "checkpoint"), err)
	}
	prefix := latest
	if !filepath.IsAbs(prefix) {
		prefix = filepath.Join(dir, prefix)
	}
	if _, err := os.Stat(prefix + ".index"); err != nil {
		// The path may be one of another machine, even of another system.
		here := filepath.Join(dir, latest[strings.LastIndexAny(latest, `/\`)+1:])
		if _, err := os.Stat(here + ".index"); err != nil {
			if _, err := os.Stat(here); err == nil {
				return here, nil // a checkpoint of version 1 is a file of that name
			}
			return "", fmt.Errorf("checkpoint: %s names %q as the latest checkpoint, but there is no %s.index", filepath.Join(dir, "checkpoint"), latest, here)
		}
		prefix = here
	}
	return prefix, nil
}

// parseState returns the latest checkpoint of a CheckpointState in text form.
func parseState(b []byte) (string, error) {
	if len(bytes.TrimSpace(b)) == 0 {
		return "", errors.New("the file is empty")
	}
	state, err := stateDescriptor()
	if err != nil {
		return "", err
	}
	message, err := pbtext.Unmarshal(b, state)
	if err != nil {
		return "", err
	}
	latest := ""
	err = wire.EachField(message, func(num protowire.Number, _ uint64, raw []byte) error {
		if num == 1 {
			latest = string(raw)
		}
		return nil
	})
	if err == nil && latest == "" {
		err = errors.New("it names no model_checkpoint_path")
	}
	return latest, err
}

// stateDescriptor describes CheckpointState, which the generated packages of TensorFlow's messages lack.
func stateDescriptor() (protoreflect.MessageDescriptor, error) {
	field := func(name string, number int32, label descriptorpb.FieldDescriptorProto_Label, typ descriptorpb.FieldDescriptorProto_Type) *descriptorpb.FieldDescriptorProto {
		return &descriptorpb.FieldDescriptorProto{Name: proto.String(name), Number: proto.Int32(number), Label: label.Enum(), Type: typ.Enum()}
	}
	const (
		one    = descriptorpb.FieldDescriptorProto_LABEL_OPTIONAL
		many   = descriptorpb.FieldDescriptorProto_LABEL_REPEATED
		text   = descriptorpb.FieldDescriptorProto_TYPE_STRING
		number = descriptorpb.FieldDescriptorProto_TYPE_DOUBLE
	)
	file, err := protodesc.NewFile(&descriptorpb.FileDescriptorProto{
		Name: proto.String("checkpoint_state.proto"), Package: proto.String("tensorflow"), Syntax: proto.String("proto3"),
		MessageType: []*descriptorpb.DescriptorProto{{
			Name: proto.String("CheckpointState"),
			Field: []*descriptorpb.FieldDescriptorProto{
				field("model_checkpoint_path", 1, one, text),
				field("all_model_checkpoint_paths", 2, many, text),
				field("all_model_checkpoint_timestamps", 3, many, number),
				field("last_preserved_timestamp", 4, one, number),
			},
		}},
	}, nil)
	if err != nil {
		return nil, err
	}
	return file.Messages().Get(0), nil
}
