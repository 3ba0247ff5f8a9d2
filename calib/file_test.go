package calib

import (
	"bytes"
	"errors"
	"io"
	"strings"
	"testing"
)

// restored writes and reads statistics.
func restored(s *Statistics) (*Statistics, error) {
	return parseStatistics(newDecoder(bytes.NewReader(appendStatistics(nil, s))))
}

var testGraph = Hash{1, 2, 3}

func sampleFile() *StatisticsFile {
	f := &StatisticsFile{Tool: "tfq8 1.0 <dev>", Graph: testGraph, Tensors: new(Collector)}
	f.Tensors.Observe("encoder/layer_0/ffn/MatMul:0", samples("gauss", 3000))
	f.Tensors.Observe("encoder/layer_0/relu", samples("relu", 3000))
	f.Tensors.Observe("decoder/while/softmax", samples("softmax", 3000))
	f.Tensors.Observe("negative", scaled(samples("softmax", 10), -1))
	f.Tensors.Observe("zero", make([]float32, 7))
	f.Tensors.Observe("nothing \"seen\"\n", nil)
	return f
}

func written(t testing.TB, f interface{ Write(io.Writer) error }) string {
	t.Helper()
	var b strings.Builder
	if err := f.Write(&b); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

func TestStatisticsFileRoundTrip(t *testing.T) {
	f := sampleFile()
	text := written(t, f)
	again, err := ReadStatistics(strings.NewReader(text), "s.json", testGraph)
	if err != nil {
		t.Fatal(err)
	}
	if again.Tool != f.Tool || again.Graph != f.Graph || !again.Tensors.Equal(f.Tensors) {
		t.Error("the file read differs from the file written")
	}
	if written(t, again) != text || written(t, sampleFile()) != text {
		t.Error("equal content gave other bytes")
	}
	if err := again.Merge(f, "t.json"); err != nil || again.Tensors.Statistics("zero").Zeros() != 14 {
		t.Errorf("merging files: %v", err)
	}
}

func TestThresholdsFileRoundTrip(t *testing.T) {
	rules := append([]Rule{{Percentile, 999_000}}, allRules...)
	for _, r := range rules {
		th, err := sampleFile().Thresholds(r)
		if err != nil {
			t.Fatal(err)
		}
		text := written(t, th)
		again, err := ReadThresholds(strings.NewReader(text), "t.json", testGraph)
		if err != nil {
			t.Fatal(err)
		}
		if again.Rule != r || again.Tool != th.Tool || len(again.Tensors) != len(th.Tensors) {
			t.Errorf("have %+v, want %+v", again, th)
		}
		for name, want := range th.Tensors {
			if have := again.Tensors[name]; have != want {
				t.Errorf("%v: tensor %q: have %+v, want %+v", r, name, have, want)
			}
		}
		if written(t, again) != text {
			t.Error("equal content gave other bytes")
		}
	}
}

func TestStaleFiles(t *testing.T) {
	f := sampleFile()
	th, err := f.Thresholds(Rule{})
	if err != nil {
		t.Fatal(err)
	}
	other := Hash{9}
	_, statisticsErr := ReadStatistics(strings.NewReader(written(t, f)), "s.json", other)
	_, thresholdsErr := ReadThresholds(strings.NewReader(written(t, th)), "t.json", other)
	mergeErr := (&StatisticsFile{Graph: other, Tensors: new(Collector)}).Merge(f, "s.json")
	for what, err := range map[string]error{"statistics": statisticsErr, "thresholds": thresholdsErr, "statistics ": mergeErr} {
		stale, ok := errors.AsType[*StaleError](err)
		if !ok || stale.Have != testGraph || stale.Want != other || stale.What != strings.TrimSpace(what) {
			t.Errorf("%s: have %v, want a StaleError", what, err)
			continue
		}
		for _, part := range []string{"010203", "0900", ".json", "calibrate this graph again"} {
			if !strings.Contains(err.Error(), part) {
				t.Errorf("%s: have %q, want it to contain %q", what, err, part)
			}
		}
	}
	if _, err := ReadStatistics(strings.NewReader(written(t, f)), "s.json", Hash{}); err != nil {
		t.Errorf("the zero hash should accept any graph: %v", err)
	}
}

// oneTensor is a small file in which the cases below break one thing.
const oneTensor = `{"format":"tfq8 statistics","version":1,"tool":"x","graph_sha256":"` +
	`0102030000000000000000000000000000000000000000000000000000000000","tensors":{` +
	`"a":{"n":7,"zeros":1,"nans":0,"pinf":0,"ninf":0,"min":"bf000000","max":"3f800000","emax":127,` +
	`"below_pos":1,"below_neg":0,"pos":[129024,1,1024,2],"neg":[129024,2]}}}`

func TestReadStatisticsRefuses(t *testing.T) {
	if _, err := ReadStatistics(strings.NewReader(oneTensor), "f", testGraph); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct{ old, new, want string }{
		{`"n":7`, `"n":8`, `field "tensors"."a"."n": have 8, want 7`},
		{`"n":7`, `"n":-7`, `"n": have "-7", want an integer`},
		{`"n":7`, `"n":7.0`, `want an integer`},
		{`"n":7`, `"n":"7"`, `want an integer`},
		{`"n":7`, `"n":18446744073709551617`, `want an integer`},
		{`"n":7,`, ``, `"n": missing`},
		{`"n":7,`, `"n":7,"n":7,`, `"n": given twice`},
		{`"n":7,`, `"n":7,"N":7,`, `"N": not a field`},
		{`"zeros":1`, `"zeros":0`, `"n": have 7, want 6`},
		{`"zeros":1`, `"zeros":[1]`, `want an integer`},
		{`"bf000000"`, `"3f000000"`, `"min": have 0.5, which does not fit`},
		{`"bf000000"`, `"bf00000"`, `"min": have "bf00000", want null or eight`},
		{`"bf000000"`, `"BF000000"`, `want null or eight lower-case`},
		{`"bf000000"`, `"ff800000"`, `want null or eight`},
		{`"bf000000"`, `"bf400000"`, `"neg": have the last key 129024, which is not that of the extreme 0.75`},
		{`"bf000000"`, `null`, `"min": with 7 finite values`},
		{`"3f800000"`, `"3f900000"`, `"pos": have the last key 130048`},
		{`"3f800000"`, `"00000000"`, `"max": have 0, which does not fit`},
		{`"emax":127`, `"emax":126`, `"emax": have 126, want 127`},
		{`"emax":127`, `"emax":"127"`, `"emax"`},
		{`[129024,1,`, `[110000,1,`, `"pos"`},
		{`1024,2]`, `0,2]`, `"pos": number 2: have 0`},
		{`1024,2]`, `1024,0]`, `"pos": number 3: have 0`},
		{`1024,2]`, `1024]`, `even number`},
		{`1024,2]`, `1024,-2]`, `number 3`},
		{`1024,2]`, `1024,[2]]`, `number 3`},
		{`1024,2]`, `1000000,2]`, `want one of a finite number`},
		{`[129024,2]`, `null`, `"neg": want a list`},
		{`[129024,2]`, `{}`, `"neg": want a list`},
		{`"version":1`, `"version":2`, `"version": have 2, want 1`},
		{`tfq8 statistics`, `tfq8 thresholds`, `"format": have "tfq8 thresholds", want "tfq8 statistics"`},
		{`"0102`, `"0X02`, `"graph_sha256"`},
		{`"0102`, `"02`, `64 lower-case hexadecimal digits`},
		{`"tool":"x",`, `"tool":"x","tensor":1,`, `"tensor": not a field`},
		{`"tool":"x"`, `"tool":7`, `"tool": have`},
		{`}}}`, `}}`, `ends too early`},
		{`}}}`, `}}} 1`, `more after the end`},
		{oneTensor, ``, `ends too early`},
		{oneTensor, `[]`, `want an object`},
		{`"a":{`, `"a":{"n":0,"zeros":0,"nans":0,"pinf":0,"ninf":0,"min":null,"max":null,"emax":-1,"below_pos":0,"below_neg":0,"pos":[],"neg":[]},"a":{`, `"a": given twice`},
	} {
		text := strings.Replace(oneTensor, c.old, c.new, 1)
		_, err := ReadStatistics(strings.NewReader(text), "f", testGraph)
		if err == nil {
			t.Errorf("%s → %s: have no error, want %q", c.old, c.new, c.want)
			continue
		}
		if !strings.Contains(err.Error(), c.want) || !strings.HasPrefix(err.Error(), `calib: file "f": `) {
			t.Errorf("%.40s → %.40s: have %q, want it to contain %q", c.old, c.new, err, c.want)
		}
	}
}

// Counts whose sum passes 2^64 are not taken for small.
func TestReadStatisticsOverflow(t *testing.T) {
	var list strings.Builder
	for i := range 2048 {
		if i > 0 {
			list.WriteString(",1,")
		} else {
			list.WriteString("129000,")
		}
		list.WriteString("9007199254740992")
	}
	text := strings.Replace(oneTensor, "129024,1,1024,2", list.String(), 1)
	if _, err := ReadStatistics(strings.NewReader(text), "f", testGraph); err == nil || !strings.Contains(err.Error(), "more than 2^53") {
		t.Errorf("have %v, want more than 2^53", err)
	}
}

func TestReadThresholdsRefuses(t *testing.T) {
	f := &StatisticsFile{Graph: testGraph, Tensors: new(Collector)}
	f.Tensors.Observe("a", samples("gauss", 100))
	th, err := f.Thresholds(Rule{})
	if err != nil {
		t.Fatal(err)
	}
	text := written(t, th)
	lo := text[strings.Index(text, `"lo":`):strings.Index(text, `,"hi"`)]
	for _, c := range []struct{ old, new, want string }{
		{lo, `"lo":1`, `field "tensors"."a"."lo": have 1, want a finite number not above 0`},
		{lo, `"lo":-1e39`, `"lo": have "-1e39", want a number that float32 holds`},
		{lo, `"lo":"-1"`, `"lo": have`},
		{lo + ",", ``, `"lo": missing`},
		{`"class":"`, `"class":"x`, `"class": have "x`},
		{`"clipped":`, `"clipped":1`, `"clipped": have`},
		{`"guarded-kl"`, `"kl"`, `"rule"."name": have "kl"`},
		{`"octaves":12`, `"octaves":11`, `"rule"."octaves": have 11, want 12`},
		{`"octaves":12`, `"octave":12`, `"rule"."octaves": missing`},
		{`"octaves":12`, `"octaves":12,"more":1`, `"rule"."more": not a field`},
		{`"version":1`, `"version":3`, `"version": have 3, want 1`},
		{`"note":`, `"notes":`, `"notes": not a field`},
	} {
		broken := strings.Replace(text, c.old, c.new, 1)
		if _, err := ReadThresholds(strings.NewReader(broken), "f", testGraph); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s → %s: have %v, want %q", c.old, c.new, err, c.want)
		}
	}
}

func TestWriteRefuses(t *testing.T) {
	for what, f := range map[string]interface{ Write(io.Writer) error }{
		"a name that is not UTF-8": &Thresholds{Tensors: map[string]Threshold{"\xff": {}}},
		"a threshold above zero":   &Thresholds{Tensors: map[string]Threshold{"a": {Lo: 1}}},
		"a long tool version":      &StatisticsFile{Tool: strings.Repeat("x", maxName+1), Tensors: new(Collector)},
		"too large a count":        &StatisticsFile{Tensors: &Collector{tensors: map[string]*Statistics{"a": {n: 1 << 54}}}},
	} {
		if err := f.Write(io.Discard); err == nil {
			t.Errorf("%s: have no error", what)
		}
	}
}

func FuzzReadStatistics(f *testing.F) {
	f.Add([]byte(oneTensor))
	small := &StatisticsFile{Tensors: new(Collector)}
	for i, x := range [][]float32{nil, {0}, {-1, -2e9}, {1e-40, 3e-45}, {5, 1e-9, 6}} {
		small.Tensors.Observe(string(rune('a'+i)), x)
	}
	f.Add([]byte(written(f, small)))
	f.Fuzz(func(t *testing.T, data []byte) {
		file, err := ReadStatistics(bytes.NewReader(data), "f", Hash{})
		if err != nil {
			return
		}
		text := written(t, file)
		again, err := ReadStatistics(strings.NewReader(text), "f", file.Graph)
		if err != nil || !again.Tensors.Equal(file.Tensors) || written(t, again) != text {
			t.Fatalf("does not read back: %v", err)
		}
		for _, name := range file.Tensors.Names() {
			s := file.Tensors.Statistics(name)
			for _, r := range allRules {
				th, err := r.Threshold(s)
				if _, bad := errors.AsType[*NotFiniteError](err); bad {
					continue
				}
				if err != nil || th.check() != nil || max(th.Hi, -th.Lo) > s.AbsMax() {
					t.Fatalf("%v: have %+v, %v", r, th, err)
				}
			}
			s.Add([]float32{1, -2, 0})
		}
	})
}

func FuzzReadThresholds(f *testing.F) {
	for _, r := range allRules {
		small := &StatisticsFile{Tensors: new(Collector)}
		small.Tensors.Observe("a", []float32{-1, 0.25})
		small.Tensors.Observe("b", []float32{3})
		th, err := small.Thresholds(r)
		if err != nil {
			f.Fatal(err)
		}
		f.Add([]byte(written(f, th)))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		file, err := ReadThresholds(bytes.NewReader(data), "f", Hash{})
		if err != nil {
			return
		}
		text := written(t, file)
		again, err := ReadThresholds(strings.NewReader(text), "f", file.Graph)
		if err != nil || written(t, again) != text {
			t.Fatalf("does not read back: %v", err)
		}
	})
}
