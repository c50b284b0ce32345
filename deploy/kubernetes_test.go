// Package deploy_test holds the manifests against the types of Kubernetes and
// against what the service knows. It is a module of its own: these types are
// large.
package deploy_test

import (
	"bufio"
	"bytes"
	"errors"
	"io"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	autoscalingv2 "k8s.io/api/autoscaling/v2"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	policyv1 "k8s.io/api/policy/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/serializer/json"
	"k8s.io/apimachinery/pkg/util/intstr"
	"k8s.io/apimachinery/pkg/util/yaml"
)

// newDecoder returns what refuses a field that Kubernetes does not know, or
// that is there twice.
func newDecoder(t *testing.T) *json.Serializer {
	t.Helper()
	scheme := runtime.NewScheme()
	for _, add := range []func(*runtime.Scheme) error{
		appsv1.AddToScheme, autoscalingv2.AddToScheme, batchv1.AddToScheme, corev1.AddToScheme, policyv1.AddToScheme,
	} {
		if err := add(scheme); err != nil {
			t.Fatal(err)
		}
	}
	return json.NewSerializerWithOptions(json.DefaultMetaFactory, scheme, scheme, json.SerializerOptions{Yaml: true, Strict: true})
}

// decode reads all objects of the manifests.
func decode(t *testing.T) []runtime.Object {
	t.Helper()
	files, err := filepath.Glob("kubernetes/*.yaml")
	if err != nil || len(files) < 2 {
		t.Fatalf("found %v, %v", files, err)
	}
	strict := newDecoder(t)
	var objects []runtime.Object
	for _, file := range files {
		content, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		documents := yaml.NewYAMLReader(bufio.NewReader(bytes.NewReader(content)))
		for {
			document, err := documents.Read()
			if errors.Is(err, io.EOF) {
				break
			}
			if err != nil {
				t.Fatal(err)
			}
			object, _, err := strict.Decode(document, nil, nil)
			if err != nil {
				t.Errorf("%s: %v\n%s", file, err, document)
				continue
			}
			objects = append(objects, object)
		}
	}
	return objects
}

func find[T runtime.Object](t *testing.T, objects []runtime.Object) T {
	t.Helper()
	for _, object := range objects {
		if found, is := object.(T); is {
			return found
		}
	}
	var none T
	t.Fatalf("there is no %T", none)
	return none
}

func TestManifests(t *testing.T) {
	t.Parallel()
	objects := decode(t)
	kinds := make([]string, len(objects))
	for i, object := range objects {
		kinds[i] = object.GetObjectKind().GroupVersionKind().Kind
	}
	slices.Sort(kinds)
	if got := strings.Join(kinds, " "); got != "ConfigMap Deployment HorizontalPodAutoscaler Job PodDisruptionBudget Service" {
		t.Errorf("the manifests have %s", got)
	}
	deployment := find[*appsv1.Deployment](t, objects)
	pod := deployment.Spec.Template
	for what, selector := range map[string]map[string]string{
		"Deployment": deployment.Spec.Selector.MatchLabels,
		"Service":    find[*corev1.Service](t, objects).Spec.Selector,
		"budget":     find[*policyv1.PodDisruptionBudget](t, objects).Spec.Selector.MatchLabels,
	} {
		for name, value := range selector {
			if pod.Labels[name] != value || len(selector) < 2 {
				t.Errorf("the %s does not select the pods: %s is %q", what, name, pod.Labels[name])
			}
		}
	}
	container := pod.Spec.Containers[0]
	if container.ReadinessProbe.HTTPGet.Path != "/readyz" || container.LivenessProbe.HTTPGet.Path != "/healthz" {
		t.Error("a database that is down must not restart the pods, and pods that are not ready must get no requests")
	}
}

// Replicas are spread, so that what fails at once is not all of them.
func TestManifests_Spread(t *testing.T) {
	t.Parallel()
	pod := find[*appsv1.Deployment](t, decode(t)).Spec.Template
	if len(pod.Spec.TopologySpreadConstraints) == 0 {
		t.Error("all replicas may be on one node")
	}
	for _, constraint := range pod.Spec.TopologySpreadConstraints {
		selector, err := metav1.LabelSelectorAsSelector(constraint.LabelSelector)
		if err != nil || selector.Empty() || !selector.Matches(labels.Set(pod.Labels)) {
			t.Errorf("over %s are spread those of %v, which the pods are not: %v", constraint.TopologyKey, selector, err)
		}
	}
}

// Nodes keep free what a container asks for, and the autoscaler's target is a
// part of it.
func TestManifests_Requests(t *testing.T) {
	t.Parallel()
	objects := decode(t)
	for _, pod := range []corev1.PodSpec{find[*appsv1.Deployment](t, objects).Spec.Template.Spec, find[*batchv1.Job](t, objects).Spec.Template.Spec} {
		for _, container := range slices.Concat(pod.InitContainers, pod.Containers) {
			if asks := container.Resources.Requests; asks.Cpu().Sign() <= 0 || asks.Memory().Sign() <= 0 {
				t.Errorf("%s asks for %s of CPU and %s of memory", container.Name, asks.Cpu(), asks.Memory())
			}
		}
	}
}

// The autoscaler scales the service, and a node that is drained takes some of
// the fewest replicas, never all.
func TestManifests_Replicas(t *testing.T) {
	t.Parallel()
	objects := decode(t)
	deployment, scaler := find[*appsv1.Deployment](t, objects), find[*autoscalingv2.HorizontalPodAutoscaler](t, objects)
	want := autoscalingv2.CrossVersionObjectReference{APIVersion: deployment.APIVersion, Kind: deployment.Kind, Name: deployment.Name}
	if got := scaler.Spec.ScaleTargetRef; got != want || want.Kind != "Deployment" {
		t.Errorf("it scales %v, want %v", got, want)
	}
	fewest := 1 // as Kubernetes has it
	if scaler.Spec.MinReplicas != nil {
		fewest = int(*scaler.Spec.MinReplicas)
	}
	budget := find[*policyv1.PodDisruptionBudget](t, objects).Spec
	if budget.MaxUnavailable == nil {
		t.Fatal("the budget does not say how many may be taken")
	}
	taken, err := intstr.GetScaledValueFromIntOrPercent(budget.MaxUnavailable, fewest, true)
	if err != nil || taken < 1 || taken >= fewest {
		t.Errorf("of %d replicas %s may be taken: %d, %v", fewest, budget.MaxUnavailable, taken, err)
	}
}

// What migrates is of the same version as what serves then.
func TestManifests_Commands(t *testing.T) {
	t.Parallel()
	objects := decode(t)
	service, job := find[*appsv1.Deployment](t, objects).Spec.Template.Spec.Containers, find[*batchv1.Job](t, objects).Spec.Template.Spec.Containers
	if len(service) != 1 || len(job) != 1 {
		t.Fatalf("there are %d and %d containers", len(service), len(job))
	}
	for want, container := range map[string]corev1.Container{"serve": service[0], "migrate": job[0]} {
		if len(container.Command) > 0 || !slices.Equal(container.Args, []string{want}) {
			t.Errorf("%s runs %v %v, want %s", container.Name, container.Command, container.Args, want)
		}
	}
	if service[0].Image != job[0].Image {
		t.Errorf("%s serves what %s has migrated", service[0].Image, job[0].Image)
	}
}

// Pods are taken out of the Service before they stop, and get the time to.
func TestManifests_Drain(t *testing.T) {
	t.Parallel()
	objects := decode(t)
	settings := find[*corev1.ConfigMap](t, objects).Data
	drain, err := time.ParseDuration(settings["CHATKIT_DRAIN_DELAY"])
	if err != nil {
		t.Fatal(err)
	}
	pod := find[*appsv1.Deployment](t, objects).Spec.Template.Spec
	probe := pod.Containers[0].ReadinessProbe
	noticed := time.Duration(probe.PeriodSeconds*probe.FailureThreshold+probe.TimeoutSeconds) * time.Second
	if drain < noticed+2*time.Second {
		t.Errorf("it drains for %s, and is noticed after %s", drain, noticed)
	}
	timeout := settings["CHATKIT_SHUTDOWN_TIMEOUT"]
	if timeout == "" {
		timeout = knownSettings(t)["CHATKIT_SHUTDOWN_TIMEOUT"]
	}
	shutdown, err := time.ParseDuration(timeout)
	if err != nil {
		t.Fatal(err)
	}
	longest := drain + 2*shutdown // requests in flight, then the last writes
	if grace := time.Duration(*pod.TerminationGracePeriodSeconds) * time.Second; grace < longest {
		t.Errorf("it is killed after %s, and may take %s", grace, longest)
	}
}

// Replicas that count each for themselves would let users do their limit on each
// of them: where there can be several, none starts without Redis.
func TestManifests_LimitsOfAllReplicas(t *testing.T) {
	t.Parallel()
	objects := decode(t)
	if find[*autoscalingv2.HorizontalPodAutoscaler](t, objects).Spec.MaxReplicas == 1 {
		return
	}
	container := find[*appsv1.Deployment](t, objects).Spec.Template.Spec.Containers[0]
	at := slices.IndexFunc(container.Env, func(v corev1.EnvVar) bool { return v.Name == "REDIS_URL" })
	if at < 0 {
		t.Fatal("more than one replica can run, and they have no REDIS_URL")
	}
	from := container.Env[at].ValueFrom
	if from == nil || from.SecretKeyRef == nil || (from.SecretKeyRef.Optional != nil && *from.SecretKeyRef.Optional) {
		t.Errorf("REDIS_URL is from %v, want it from a Secret that must have it: it may hold a password", from)
	}
}

// paragraph is how the service's help begins to describe a setting: its name, and
// in parentheses the form of its value and its default, where it has them.
var paragraph = regexp.MustCompile(`\n\n([A-Z][A-Z0-9_]*)(?:\s\(([^)]*)\))?:`)

// knownSettings are those of the service, with their defaults, by its own help.
func knownSettings(t *testing.T) map[string]string {
	t.Helper()
	command := exec.CommandContext(t.Context(), "go", "run", "./cmd/chatkit-session", "serve", "--help")
	command.Dir = ".."
	help, err := command.Output()
	if err != nil {
		t.Fatal(err)
	}
	known := map[string]string{}
	for _, found := range paragraph.FindAllStringSubmatch(string(help), -1) {
		_, known[found[1]], _ = strings.Cut(strings.Join(strings.Fields(found[2]), " "), "default ")
	}
	if known["DATABASE_MAX_CONNECTIONS"] == "" || len(known) < 40 {
		t.Fatalf("of the help only this is understood: %v", known)
	}
	return known
}

// unknown returns those of names that are no settings.
func unknown(names []string, known map[string]string) (wrong []string) {
	for _, name := range names {
		_, is := known[name]
		if _, of := known[strings.TrimSuffix(name, "_FILE")]; !is && !of {
			wrong = append(wrong, name)
		}
	}
	return wrong
}

// The collector works for less than what the pod is killed for, and for more
// than is in use when there are as many streams of events as there may be.
func TestManifests_Memory(t *testing.T) {
	t.Parallel()
	container := find[*appsv1.Deployment](t, decode(t)).Spec.Template.Spec.Containers[0]
	at := slices.IndexFunc(container.Env, func(v corev1.EnvVar) bool { return v.Name == memoryLimit })
	if at < 0 {
		t.Fatal("the collector knows no limit")
	}
	number, isMiB := strings.CutSuffix(container.Env[at].Value, "MiB")
	limit, err := strconv.ParseInt(number, 10, 64)
	if err != nil || !isMiB {
		t.Fatalf("%s is %s", memoryLimit, container.Env[at].Value)
	}
	const rest = 64 << 20
	streams, each := promisedStreams(t)
	if killed := container.Resources.Limits.Memory().Value(); limit<<20 < rest+streams*each || limit<<20 > killed*9/10 {
		t.Errorf("it collects for %d bytes, is killed for %d, and may use %d", limit<<20, killed, rest+streams*each)
	}
}

// promisedStreams are how many event streams docs/events.md says that a replica
// allows, and how many bytes each takes.
func promisedStreams(t *testing.T) (most, each int64) {
	t.Helper()
	page, err := os.ReadFile("../docs/events.md")
	if err != nil {
		t.Fatal(err)
	}
	found := regexp.MustCompile(`and ([\d,]+) in total \(503\)\. A stream takes about (\d+) KiB`).FindStringSubmatch(string(page))
	if found == nil {
		t.Fatal("docs/events.md names no limits of streams")
	}
	most, err1 := strconv.ParseInt(strings.ReplaceAll(found[1], ",", ""), 10, 64)
	each, err2 := strconv.ParseInt(found[2], 10, 64)
	if err := errors.Join(err1, err2); err != nil {
		t.Fatal(err)
	}
	return most, each << 10
}

// memoryLimit is the Go runtime's own setting.
const memoryLimit = "GOMEMLIMIT"

// Every setting is one of the service's.
func TestManifests_Settings(t *testing.T) {
	t.Parallel()
	objects := decode(t)
	names := slices.Collect(maps.Keys(find[*corev1.ConfigMap](t, objects).Data))
	for _, pod := range []corev1.PodSpec{find[*appsv1.Deployment](t, objects).Spec.Template.Spec, find[*batchv1.Job](t, objects).Spec.Template.Spec} {
		for _, container := range slices.Concat(pod.InitContainers, pod.Containers) {
			for _, variable := range container.Env {
				if variable.Name != memoryLimit {
					names = append(names, variable.Name)
				}
			}
		}
	}
	known := knownSettings(t)
	if wrong := unknown(names, known); len(wrong) > 0 || !slices.Contains(names, "DATABASE_URL") {
		t.Errorf("of %v the service does not know %v", names, wrong)
	}
	mistakes := []string{"CHATKIT_DRAIN", "DATABASE_UR", "CHATKIT_DRAIN_DELAYS", "DRAIN_DELAY", "chatkit_drain_delay"}
	if wrong := unknown(append([]string{"CLERK_JWT_KEY_FILE", "CHATKIT_DRAIN_DELAY"}, mistakes...), known); !slices.Equal(wrong, mistakes) {
		t.Errorf("found out are %v, want %v", wrong, mistakes)
	}
}

// A manifest with a mistake is found out.
func TestManifests_Strict(t *testing.T) {
	t.Parallel()
	strict := newDecoder(t)
	const typo = "apiVersion: v1\nkind: Service\nmetadata: {name: x}\nspec: {selectors: {a: b}}\n"
	if _, _, err := strict.Decode([]byte(typo), nil, nil); err == nil {
		t.Error("an unknown field is accepted")
	}
}
