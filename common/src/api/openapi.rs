//! The OpenAPI document, from the table of routes and the types of its handlers. Only in the build that writes it.
//!
//! A handler is described by what it takes ([`Input`]) and what it answers ([`Output`]), so there is nothing to keep in step: a new type of body, query or
//! answer derives `utoipa`'s trait, and a new kind of extractor or answer says here what it means.

use super::answer::{
    Accepted, BrowserPage, Committed, Created, Document, Download, MediaTypes, Page, Pending, Revised, Text, Uncached,
    WithCookie,
};
use super::body::{Body, Explained, NoBody, Parameters};
use super::caller::Caller;
use super::header::{BrowserForm, BrowserQuery, IdempotencyKey, IfNoneMatch};
use super::path::{ClientPath, CompanyPath, CompanyWidePath, ConnectionPath, PathParams, PersonPath};
use super::problem::Problem;
use super::problem::kinds::{self, Kind, Kinds};
use super::revision::IfMatch;
use super::route::Entry;
use super::routes;
use axum::Json;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use std::collections::{BTreeMap, BTreeSet};
use std::future::Future;
use utoipa::openapi::content::ContentBuilder;
use utoipa::openapi::header::HeaderBuilder;
use utoipa::openapi::path::{HttpMethod, OperationBuilder, Parameter, ParameterBuilder, ParameterIn, PathItem};
use utoipa::openapi::request_body::RequestBodyBuilder;
use utoipa::openapi::response::{Response, ResponseBuilder};
use utoipa::openapi::schema::{
    AdditionalProperties, ArrayItems, ComponentsBuilder, Object, ObjectBuilder, Schema, SchemaType, Type,
};
use utoipa::openapi::security::{HttpAuthScheme, HttpBuilder, SecurityRequirement, SecurityScheme};
use utoipa::openapi::{InfoBuilder, OpenApi, OpenApiBuilder, PathsBuilder, Ref, RefOr, Required, ServerBuilder};
use utoipa::{IntoParams, PartialSchema, ToSchema};

/// What a handler takes and answers, as it is found out.
#[derive(Default)]
pub struct Description {
    parameters: Vec<Parameter>,
    body: Option<RefOr<Schema>>,
    answers: BTreeMap<u16, Response>,
    problems: BTreeSet<Kind>,
    schemas: BTreeMap<String, RefOr<Schema>>,
}

impl Description {
    /// Adds problems that it can be refused with.
    pub fn problems(&mut self, kinds: Kinds) {
        self.problems.extend(kinds);
    }

    fn header(&mut self, name: &str, required: bool, description: &str) {
        let required = if required { Required::True } else { Required::False };
        let parameter = ParameterBuilder::new().name(name).parameter_in(ParameterIn::Header).required(required);
        self.parameters.push(parameter.description(Some(description)).schema(Some(text())).build());
    }

    /// A schema that is referred to by its name.
    fn schema<T: ToSchema>(&mut self) -> RefOr<Schema> {
        let mut schemas = vec![(T::name().into_owned(), T::schema())];
        T::schemas(&mut schemas);
        self.schemas.extend(schemas);
        Ref::from_schema_name(T::name()).into()
    }

    fn answer(&mut self, status: u16, description: &str, content: Option<(&str, RefOr<Schema>)>) {
        let mut response = ResponseBuilder::new().description(description);
        if let Some((media_type, schema)) = content {
            response = response.content(media_type, ContentBuilder::new().schema(Some(schema)).build());
        }
        self.answers.insert(status, response.build());
    }

    fn answer_header(&mut self, status: u16, name: &str, description: &str) {
        if let Some(answer) = self.answers.get_mut(&status) {
            let header = HeaderBuilder::new().schema(Some(text())).description(Some(description)).build();
            answer.headers.insert(name.to_owned(), header.into());
        }
    }

    /// What is answered with 200 is answered with another status.
    fn instead_of_ok(&mut self, status: u16, description: &str) {
        if let Some(mut answer) = self.answers.remove(&200) {
            description.clone_into(&mut answer.description);
            self.answers.insert(status, answer);
        }
    }
}

fn text() -> Object {
    Object::with_type(Type::String)
}

/// Something that a handler takes.
#[diagnostic::on_unimplemented(
    message = "the route is not described: nothing says what `{Self}` means in the OpenAPI document",
    note = "say it in common/src/api/openapi.rs; the types of bodies derive utoipa::ToSchema, those of query strings utoipa::IntoParams"
)]
pub trait Input {
    /// Says what it means for the route.
    fn describe(description: &mut Description);
}

/// Something that a handler answers.
#[diagnostic::on_unimplemented(
    message = "the route is not described: nothing says what the answer `{Self}` means in the OpenAPI document",
    note = "answer Json<T> where T derives utoipa::ToSchema, or a type of common/src/api/answer.rs, each with Problem as its error"
)]
pub trait Output {
    /// Says what it means for the route.
    fn describe(description: &mut Description);
}

impl<S> Input for State<S> {
    fn describe(_: &mut Description) {}
}

impl<T> Input for PathParams<T> {
    fn describe(description: &mut Description) {
        description.problems(kinds::BAD_REQUEST);
    }
}

/// The parameters of a path are described from its template. Beside a path of ours, which refuses what cannot be read.
impl<T> Input for Path<T> {
    fn describe(_: &mut Description) {}
}

impl Input for Caller {
    fn describe(_: &mut Description) {}
}

impl Input for CompanyPath {
    fn describe(description: &mut Description) {
        description.problems(kinds::BAD_REQUEST);
        description.problems(kinds::FORBIDDEN);
    }
}

impl Input for CompanyWidePath {
    fn describe(description: &mut Description) {
        CompanyPath::describe(description);
        description.problems(kinds::CLIENTS_ONLY);
    }
}

impl Input for ConnectionPath {
    fn describe(description: &mut Description) {
        CompanyWidePath::describe(description);
        description.problems(kinds::NOT_FOUND);
    }
}

impl Input for PersonPath {
    fn describe(description: &mut Description) {
        ConnectionPath::describe(description);
    }
}

impl Input for ClientPath {
    fn describe(description: &mut Description) {
        CompanyPath::describe(description);
        description.problems(kinds::NOT_FOUND);
    }
}

impl Input for IfMatch {
    fn describe(description: &mut Description) {
        description.header(
            "If-Match",
            true,
            "The ETag of the connection as you have read it, or * for whatever it is.",
        );
        description.problems(kinds::STALE);
        description.problems(kinds::REVISION_NEEDED);
    }
}

impl Input for IfNoneMatch {
    fn describe(description: &mut Description) {
        description.header("If-None-Match", false, "ETags that you have already.");
    }
}

impl Input for IdempotencyKey {
    fn describe(description: &mut Description) {
        let text = "1 to 255 visible ASCII characters: the same request with the same key is the same request.";
        description.header("Idempotency-Key", false, text);
        description.problems(kinds::BAD_REQUEST);
    }
}

impl<T: IntoParams + Explained> Input for Parameters<T> {
    fn describe(description: &mut Description) {
        description.parameters.extend(T::into_params(|| Some(ParameterIn::Query)));
        description.problems(kinds::BAD_REQUEST);
    }
}

impl<T: ToSchema> Input for Body<T> {
    fn describe(description: &mut Description) {
        description.body = Some(description.schema::<T>());
        description.problems(kinds::BAD_REQUEST);
        description.problems(kinds::BODY_TOO_LARGE);
        description.problems(kinds::NOT_JSON);
    }
}

impl Input for NoBody {
    fn describe(description: &mut Description) {
        description.problems(kinds::BAD_REQUEST);
        description.problems(kinds::BODY_TOO_LARGE);
    }
}

impl<T: ToSchema> Output for Json<T> {
    fn describe(description: &mut Description) {
        let schema = description.schema::<T>();
        description.answer(200, "As it is now.", Some(("application/json", schema)));
    }
}

impl<A: Output> Output for Result<A, Problem> {
    fn describe(description: &mut Description) {
        A::describe(description);
        description.problems(kinds::UNAVAILABLE);
    }
}

/// A status alone is 204.
impl Output for StatusCode {
    fn describe(description: &mut Description) {
        description.answer(204, "Done.", None);
    }
}

impl<T: ToSchema> Output for Revised<T> {
    fn describe(description: &mut Description) {
        Json::<T>::describe(description);
        description.answer_header(200, "ETag", "The revision, for If-Match.");
    }
}

impl<A: Output> Output for Created<A> {
    fn describe(description: &mut Description) {
        A::describe(description);
        description.instead_of_ok(201, "Made.");
        description.answer_header(201, "Location", "Where it is.");
    }
}

impl<A: Output> Output for Accepted<A> {
    fn describe(description: &mut Description) {
        A::describe(description);
        description.instead_of_ok(202, "It goes on.");
        description.answer_header(202, "Location", "Where to see how far it is.");
    }
}

impl<A: Output> Output for Uncached<A> {
    fn describe(description: &mut Description) {
        A::describe(description);
        description.answer_header(200, "Cache-Control", "no-store");
    }
}

impl Output for Committed {
    fn describe(description: &mut Description) {
        let bundle = Object::with_type(Type::Object).into();
        description.answer(200, "The committed bytes.", Some(("application/json", RefOr::T(bundle))));
        description.answer(304, "You have them already.", None);
        for status in [200, 304] {
            description.answer_header(status, "ETag", "\"sha256-…\", the SHA-256 of the bytes in hexadecimal.");
            description.answer_header(status, "Cache-Control", "private, max-age=31536000, immutable");
        }
    }
}

impl<A: Output> Output for WithCookie<A> {
    fn describe(description: &mut Description) {
        A::describe(description);
        description.answer_header(200, "Set-Cookie", "What binds the browser to where it is sent.");
    }
}

impl Output for BrowserPage {
    fn describe(description: &mut Description) {
        description.answer(200, "A page.", Some(("text/html", RefOr::T(text().into()))));
        description.answer_header(200, "Referrer-Policy", "no-referrer");
    }
}

impl Input for BrowserQuery {
    fn describe(description: &mut Description) {
        for (name, what) in [
            ("state", "What the address had that the browser was sent to."),
            ("code", "What the agreement is exchanged for."),
            ("error", "Why there is no code."),
        ] {
            let parameter = ParameterBuilder::new().name(name).parameter_in(ParameterIn::Query);
            let parameter = parameter.required(Required::False).description(Some(what)).schema(Some(text()));
            description.parameters.push(parameter.build());
        }
    }
}

/// The form is described in words: it is that of our own page.
impl Input for BrowserForm {
    fn describe(_: &mut Description) {}
}

impl Output for Document {
    fn describe(description: &mut Description) {
        let document = Object::with_type(Type::Object).into();
        description.answer(200, "The document.", Some(("application/json", RefOr::T(document))));
        description.answer_header(200, "Cache-Control", "public, max-age=300");
    }
}

impl Output for Page {
    fn describe(description: &mut Description) {
        description.answer(200, "The page.", Some(("text/markdown", RefOr::T(text().into()))));
        description.answer_header(200, "Cache-Control", "public, max-age=300");
    }
}

impl Output for Text {
    fn describe(description: &mut Description) {
        description.answer(200, "The text.", Some(("text/plain", RefOr::T(text().into()))));
    }
}

impl<M: MediaTypes> Output for Download<M> {
    fn describe(description: &mut Description) {
        // In OpenAPI 3.1 bytes that are no JSON have no schema.
        let contents = M::ALL.iter().map(|media_type| (*media_type, ContentBuilder::new().build()));
        let response = contents
            .fold(ResponseBuilder::new().description("The file."), |response, (media_type, content)| {
                response.content(media_type, content)
            });
        description.answers.insert(200, response.build());
        description.answer_header(200, "ETag", "The SHA-256 of the bytes in hexadecimal, where they never change.");
        description.answer_header(200, "Content-Disposition", "attachment");
        description.answer_header(200, "Cache-Control", "no-store");
    }
}

impl<A: Output, T: ToSchema> Output for Pending<A, T> {
    fn describe(description: &mut Description) {
        A::describe(description);
        let schema = description.schema::<T>();
        description.answer(202, "It is still being made.", Some(("application/json", schema)));
        description.answer_header(202, "Retry-After", "Seconds until it is worth another try.");
        description.answer(303, "It is elsewhere, for some minutes.", None);
        description.answer_header(303, "Location", "Where it is.");
    }
}

/// A status with a body is 201: what was made has no address of its own.
impl<T: ToSchema> Output for (StatusCode, Json<T>) {
    fn describe(description: &mut Description) {
        Json::<T>::describe(description);
        description.instead_of_ok(201, "Made.");
    }
}

/// A handler, all of whose inputs and whose output are described.
pub trait Described<Inputs> {
    /// Describes them.
    fn describe(description: &mut Description);
}

macro_rules! described {
    ($($input:ident),*) => {
        impl<F, Answer, R, $($input),*> Described<($($input,)*)> for F
        where
            F: Fn($($input),*) -> Answer,
            Answer: Future<Output = R>,
            R: Output,
            $($input: Input,)*
        {
            fn describe(description: &mut Description) {
                $($input::describe(description);)*
                R::describe(description);
            }
        }
    };
}

described!();
described!(A1);
described!(A1, A2);
described!(A1, A2, A3);
described!(A1, A2, A3, A4);
described!(A1, A2, A3, A4, A5);
described!(A1, A2, A3, A4, A5, A6);

/// What describes a handler.
pub(super) const fn described<H: Described<I> + Copy, I>(_: H) -> fn(&mut Description) {
    H::describe
}

/// Where a handler is, and what describes it.
#[derive(Clone, Copy)]
pub struct Handler {
    /// Its name.
    pub(super) name: &'static str,
    /// The file that it is in, from the folder of the workspace.
    pub(super) file: &'static str,
    /// What describes it.
    pub(super) describe: fn(&mut Description),
}

impl std::fmt::Debug for Handler {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} in {}", self.name, self.file)
    }
}

impl Handler {
    /// The noun of its routes.
    fn noun(&self) -> &'static str {
        let file = self.file.rsplit('/').next().unwrap_or(self.file);
        file.strip_suffix(".rs").unwrap_or(file)
    }

    /// Its documentation in the text of its file.
    fn documentation(&self, source: &str) -> Option<String> {
        let declaration = format!("async fn {}(", self.name);
        let lines: Vec<&str> = source.lines().collect();
        let at =
            lines.iter().position(|line| line.trim_start().trim_start_matches("pub ").starts_with(&declaration))?;
        let above = lines.get(..at)?.iter().rev().map(|line| line.trim_start());
        let mut text: Vec<&str> = above
            .skip_while(|line| line.starts_with("#["))
            .map_while(|line| line.strip_prefix("///"))
            .map(str::trim)
            .collect();
        text.reverse();
        let text = text.join(" ");
        (!text.is_empty()).then_some(text)
    }
}

/// What keeps a route out of the document.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DescriptionError {
    /// Its row has no description.
    #[error("{route} is not described: make its row with the macro route!, see common/src/api/route.rs")]
    Undescribed {
        /// Method and path.
        route: String,
    },
    /// Its handler has no documentation.
    #[error("{handler} of {route} has no doc comment, which is the description of the route")]
    Undocumented {
        /// Method and path.
        route: String,
        /// The handler and its file.
        handler: String,
    },
    /// Its path has a parameter that is not known.
    #[error(
        "{{{parameter}}} in the path of {route} is described nowhere: add it to parameter() in common/src/api/openapi.rs"
    )]
    Parameter {
        /// Method and path.
        route: String,
        /// The name of the parameter.
        parameter: String,
    },
    /// Two types have one name.
    #[error("two types are called {name}: give one of them another name, #[schema(as = …)]")]
    Ambiguous {
        /// The name.
        name: String,
    },
}

/// The document of all routes. `source` gives the text of a file, from the folder of the workspace: the descriptions of routes are their handlers' doc
/// comments.
///
/// # Errors
/// All routes that cannot be described.
pub fn document(source: impl Fn(&str) -> String) -> Result<OpenApi, Vec<DescriptionError>> {
    let mut paths = PathsBuilder::new();
    let (mut schemas, mut errors) = (BTreeMap::new(), Vec::new());
    schemas.insert(Problem::name().into_owned(), Problem::schema());
    for entry in routes::table() {
        match operation(&entry, &source, &mut schemas) {
            Ok(item) => paths = paths.path(entry.path, item),
            Err(error) => errors.push(error),
        }
    }
    if !errors.is_empty() {
        return Err(errors);
    }
    schemas.values_mut().for_each(cut_examples);
    let components = schemas
        .into_iter()
        .fold(ComponentsBuilder::new(), |components, (name, schema)| components.schema(name, schema));
    let mut token = HttpBuilder::new().scheme(HttpAuthScheme::Bearer);
    token = token.description(Some("The scopes that a route needs stand beside it; a role is a set of them."));
    let info = InfoBuilder::new()
        .title("huntress-evidence")
        .version(env!("CARGO_PKG_VERSION"))
        .description(Some("Compliance evidence of Huntress: connections, runs, evidence and people."))
        .license(Some(
            utoipa::openapi::LicenseBuilder::new().name("Apache-2.0").identifier(Some("Apache-2.0")).build(),
        ));
    Ok(OpenApiBuilder::new()
        .info(info.build())
        .servers(Some([ServerBuilder::new().url("/").build()]))
        .paths(paths.build())
        .components(Some(components.security_scheme(TOKEN, SecurityScheme::Http(token.build())).build()))
        .build())
}

/// Takes the examples out of the descriptions of a type: they are doctests, in Rust, and say nothing to who uses the API.
fn cut_examples(schema: &mut RefOr<Schema>) {
    let schema = match schema {
        RefOr::Ref(other) => return other.description = without_code(&other.description),
        RefOr::T(schema) => schema,
    };
    let description = match schema {
        Schema::Object(object) => {
            object.properties.values_mut().for_each(cut_examples);
            if let Some(AdditionalProperties::RefOr(of)) = object.additional_properties.as_deref_mut() {
                cut_examples(of);
            }
            &mut object.description
        }
        Schema::Array(list) => {
            if let ArrayItems::RefOrSchema(of) = &mut list.items {
                cut_examples(of);
            }
            &mut list.description
        }
        Schema::OneOf(one) => {
            one.items.iter_mut().for_each(cut_examples);
            &mut one.description
        }
        Schema::AllOf(all) => {
            all.items.iter_mut().for_each(cut_examples);
            &mut all.description
        }
        Schema::AnyOf(any) => {
            any.items.iter_mut().for_each(cut_examples);
            &mut any.description
        }
        // A test looks for what is left.
        _ => return,
    };
    if let Some(text) = description {
        *text = without_code(text);
    }
}

/// A text without its blocks of code.
fn without_code(text: &str) -> String {
    let parts = text.split("```").step_by(2).map(str::trim).filter(|part| !part.is_empty());
    parts.collect::<Vec<_>>().join("\n\n")
}

const TOKEN: &str = "token";

fn operation(
    entry: &Entry,
    source: &impl Fn(&str) -> String,
    schemas: &mut BTreeMap<String, RefOr<Schema>>,
) -> Result<PathItem, DescriptionError> {
    let route = format!("{} {}", entry.method, entry.path);
    let Some(handler) = entry.handler else { return Err(DescriptionError::Undescribed { route }) };
    let Some(documentation) = handler.documentation(&source(handler.file)) else {
        return Err(DescriptionError::Undocumented { route, handler: format!("{handler:?}") });
    };
    let mut description = Description::default();
    (handler.describe)(&mut description);
    if !entry.is_public {
        description.problems(kinds::UNAUTHENTICATED);
    }
    if entry.scope.is_some() {
        description.problems(kinds::SCOPE_MISSING);
    }
    for kinds in entry.fails {
        description.problems(kinds);
    }
    let Description { parameters, body, answers, problems, schemas: found } = description;
    for (name, schema) in found {
        match schemas.get(&name) {
            Some(known) if *known != schema => return Err(DescriptionError::Ambiguous { name }),
            _ => schemas.insert(name, schema),
        };
    }
    let (summary, details) = documentation.split_once(". ").unwrap_or((documentation.trim_end_matches('.'), ""));
    let mut operation = OperationBuilder::new()
        .operation_id(Some(format!("{}_{}", handler.noun(), handler.name)))
        .tag(handler.noun())
        .summary(Some(summary))
        .description(Some(details).filter(|details| !details.is_empty()));
    for segment in entry.path.split('/') {
        if let Some(name) = segment.strip_prefix('{').and_then(|rest| rest.strip_suffix('}')) {
            let parameter = parameter(name, entry.path)
                .ok_or_else(|| DescriptionError::Parameter { route: route.clone(), parameter: name.to_owned() })?;
            operation = operation.parameter(parameter);
        }
    }
    for parameter in parameters {
        operation = operation.parameter(parameter);
    }
    if let Some(schema) = body {
        let content = ContentBuilder::new().schema(Some(schema)).build();
        let body = RequestBodyBuilder::new().content("application/json", content).required(Some(Required::True));
        operation = operation.request_body(Some(body.build()));
    }
    for (status, answer) in answers {
        operation = operation.response(status.to_string(), answer);
    }
    for (status, response) in refusals(&problems) {
        operation = operation.response(status.to_string(), response);
    }
    let scopes = entry.scope.map(|scope| scope.as_str());
    if entry.is_public {
        operation = operation.securities(Some([]));
    } else {
        operation = operation.security(SecurityRequirement::new(TOKEN, scopes));
    }
    let method = match entry.method {
        super::Method::Get => HttpMethod::Get,
        super::Method::Post => HttpMethod::Post,
        super::Method::Put => HttpMethod::Put,
        super::Method::Patch => HttpMethod::Patch,
        super::Method::Delete => HttpMethod::Delete,
    };
    Ok(PathItem::new(method, operation))
}

/// Problems, by status: each is a problem with one of the codes of its status.
fn refusals(problems: &BTreeSet<Kind>) -> BTreeMap<u16, Response> {
    let mut codes: BTreeMap<u16, Vec<&str>> = BTreeMap::new();
    for kind in problems {
        codes.entry(kind.status).or_default().push(kind.code);
    }
    let response = |(status, codes): (u16, Vec<&str>)| {
        let one_of = ObjectBuilder::new()
            .property(
                "code",
                ObjectBuilder::new().schema_type(SchemaType::new(Type::String)).enum_values(Some(codes.clone())),
            )
            .build();
        let schema = utoipa::openapi::schema::AllOfBuilder::new()
            .item(Ref::from_schema_name(Problem::name()))
            .item(one_of)
            .build();
        let content = ContentBuilder::new().schema(Some(Schema::from(schema))).build();
        let mut response =
            ResponseBuilder::new().description(codes.join(", ")).content("application/problem+json", content);
        if status == 429 {
            let seconds = Object::with_type(Type::Integer);
            let header =
                HeaderBuilder::new().schema(Some(seconds)).description(Some("Seconds until it is worth another try."));
            response = response.header("Retry-After", header.build());
        }
        (status, response.build())
    };
    codes.into_iter().map(response).collect()
}

/// What stands in a path, by its name.
fn parameter(name: &str, path: &str) -> Option<Parameter> {
    const ID: &str = "^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$";
    let (description, pattern) = match name {
        "company" => ("Who runs the connections: one of the companies of the token.", ID),
        "client" => ("The tenant whose compliance is measured.", ID),
        "connection" if path.contains("/log/") => (
            "A connection, whose log it is; _company for the company's own.",
            "^(_company|[A-Za-z0-9][A-Za-z0-9._-]{0,63})$",
        ),
        "connection" => ("One credential of the company at Huntress, for one product.", ID),
        "run" => ("One sync of one connection.", ID),
        "id" => ("What was made, by the id that its answer has.", ID),
        "person" => ("A person, by the hash that stands for them.", "^[0-9a-f]{32}$"),
        "rule" => ("A rule of a policy, or a metric.", "^[A-Za-z0-9._-]{1,128}$"),
        "name" => ("A policy.", ID),
        "version" => ("A version of it.", "^[0-9]+(\\.[0-9]+)*$"),
        "key" => ("What is attested.", ID),
        "pack" => ("A pack, by the id that it was given when it was asked for.", ID),
        "format" => ("What the export is for.", "^(oscal|ocsf|csv)$"),
        "product" => ("The product.", "^huntress-(edr|sat)$"),
        _ => return None,
    };
    let schema = ObjectBuilder::new().schema_type(SchemaType::new(Type::String)).pattern(Some(pattern)).build();
    let parameter = ParameterBuilder::new().name(name).parameter_in(ParameterIn::Path).required(Required::True);
    Some(parameter.description(Some(description)).schema(Some(schema)).build())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_description_has_no_code() {
        assert_eq!(without_code("A set.\n\n```\nassert!(true);\n```"), "A set.");
        assert_eq!(without_code("A set.\n```\nlet x;\n```\nAnd `more`."), "A set.\n\nAnd `more`.");
        assert_eq!(without_code("Two\nlines."), "Two\nlines.");
    }

    #[test]
    fn documentation_is_what_stands_above_the_handler() {
        let source = "/// Of another.\nasync fn list() {}\n\n/// One thing.\n/// And more.\n#[expect(dead_code)]\npub async fn get(\n";
        let handler = |name| Handler { name, file: "a/things.rs", describe: |_| {} };
        assert_eq!(handler("get").documentation(source).as_deref(), Some("One thing. And more."));
        assert_eq!(handler("list").documentation(source).as_deref(), Some("Of another."));
        assert_eq!(handler("put").documentation(source), None);
        assert_eq!(handler("x").documentation("async fn x("), None);
        assert_eq!(handler("get").noun(), "things");
    }
}
