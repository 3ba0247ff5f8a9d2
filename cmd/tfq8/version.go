package main

import (
	"fmt"
	goruntime "runtime"
	"runtime/debug"
	"slices"
	"strings"

	"github.com/klauspost/cpuid/v2"
	"github.com/spf13/cobra"

	"github.com/tfq8/tfq8/kernels"
)

// versionOptions are the flags of version.
type versionOptions struct {
	computeFlags
	json jsonFlag
}

func newVersionCmd(s *streams) *cobra.Command {
	var o versionOptions
	cmd := &cobra.Command{
		Use:   "version",
		Short: "Print the version, the CPU, and the kernels chosen and why",
		Example: `  tfq8 version
  tfq8 version --kernels portable --json`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return runVersion(s, &o)
		},
	}
	o.add(cmd)
	o.json.add(cmd)
	return cmd
}

// versionResult is what version prints.
type versionResult struct {
	Version  string   `json:"version"`
	Revision string   `json:"revision,omitempty"`
	Modified bool     `json:"modified"`
	Built    string   `json:"revision_time,omitempty"`
	Go       string   `json:"go"`
	Platform string   `json:"platform"`
	CPU      string   `json:"cpu"`
	Cores    int      `json:"cores"`
	Threads  int      `json:"threads"`
	Features []string `json:"features"`
	Tiers    []tier   `json:"tiers"`
	Kernels  string   `json:"kernels"`
	Reason   string   `json:"reason"`
}

// tier says whether one set of kernels can run here.
type tier struct {
	Name      string   `json:"name"`
	Supported bool     `json:"supported"`
	Missing   []string `json:"missing,omitempty"` // CPU features that it needs and that are not there
}

func runVersion(s *streams, o *versionOptions) error {
	r := versionOf()
	set, err := o.set()
	if err != nil {
		return err
	}
	if r.Threads, err = o.numThreads(); err != nil {
		return err
	}
	r.Kernels, r.Reason = set.Tier().String(), kernelReason(o.tier, r.Tiers)
	if o.json {
		return s.printJSON(r)
	}
	fmt.Fprintf(s.out, "tfq8 %s\n", r.Version)
	if r.Revision != "" {
		state := ""
		if r.Modified {
			state = ", with changes"
		}
		fmt.Fprintf(s.out, "revision  %s (%s%s)\n", r.Revision, r.Built, state)
	}
	fmt.Fprintf(s.out, "go        %s %s\n", r.Go, r.Platform)
	fmt.Fprintf(s.out, "cpu       %s, %d cores, %d threads used\n", r.CPU, r.Cores, r.Threads)
	fmt.Fprintf(s.out, "features  %s\n", strings.Join(r.Features, " "))
	for _, t := range r.Tiers {
		state := "yes"
		if !t.Supported {
			state = "no: " + missing(t)
		}
		fmt.Fprintf(s.out, "tier      %-10s  %s\n", t.Name, state)
	}
	fmt.Fprintf(s.out, "kernels   %s: %s\n", r.Kernels, r.Reason)
	return nil
}

// versionOf collects what does not depend on flags.
func versionOf() versionResult {
	r := versionResult{
		Version: "unknown", Go: goruntime.Version(), Platform: goruntime.GOOS + "/" + goruntime.GOARCH,
		CPU: cpuName(), Cores: goruntime.NumCPU(), Features: []string{},
	}
	if info, ok := debug.ReadBuildInfo(); ok {
		if r.Version = info.Main.Version; r.Version == "" {
			r.Version = "(devel)"
		}
		for _, v := range info.Settings {
			switch v.Key {
			case "vcs.revision":
				r.Revision = v.Value
			case "vcs.time":
				r.Built = v.Value
			case "vcs.modified":
				r.Modified = v.Value == "true"
			}
		}
	}
	for _, t := range []kernels.Tier{kernels.AVX512VNNI, kernels.AVXVNNI} {
		for _, f := range tierFeatures[t] {
			if cpuid.CPU.Has(f) && !slices.Contains(r.Features, f.String()) {
				r.Features = append(r.Features, f.String())
			}
		}
	}
	for t := kernels.Portable; t <= kernels.AVX512VNNI; t++ {
		v := tier{Name: t.String(), Supported: kernels.Supported(t)}
		for _, f := range tierFeatures[t] {
			if !cpuid.CPU.Has(f) {
				v.Missing = append(v.Missing, f.String())
			}
		}
		r.Tiers = append(r.Tiers, v)
	}
	return r
}

// cpuName returns the name that the CPU gives itself, the architecture where it gives none.
func cpuName() string {
	if name := strings.Join(strings.Fields(cpuid.CPU.BrandName), " "); name != "" {
		return name
	}
	return goruntime.GOARCH
}

// tierFeatures are the CPU features that the tiers need, as package kernels documents them.
var tierFeatures = map[kernels.Tier][]cpuid.FeatureID{
	kernels.AVX2:    {cpuid.AVX2, cpuid.FMA3},
	kernels.AVXVNNI: {cpuid.AVX2, cpuid.FMA3, cpuid.AVXVNNI},
	kernels.AVX512VNNI: {cpuid.AVX2, cpuid.FMA3, cpuid.AVX512F, cpuid.AVX512BW, cpuid.AVX512DQ, cpuid.AVX512VL,
		cpuid.AVX512VNNI},
}

// missing says why a tier cannot run.
func missing(t tier) string {
	if len(t.Missing) == 0 {
		return "this build has no assembly"
	}
	return "the CPU lacks " + strings.Join(t.Missing, ", ")
}

// kernelReason says why the tier that flag asks for was taken.
func kernelReason(flag string, tiers []tier) string {
	if flag != "auto" && flag != "" {
		return "asked for by --kernels"
	}
	for _, t := range tiers[kernels.Best()+1:] {
		return fmt.Sprintf("the best that this machine runs; %s: %s", t.Name, missing(t))
	}
	return "the best there is, and this machine runs it"
}
